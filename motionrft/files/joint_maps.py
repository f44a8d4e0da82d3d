"""Whose joint is which: from the names in a file to SMPL-22, and from its unit to metres.

A target joint may be one source joint, or a weighted mean of several where the source has none in that place. End Sites
are called after their joint, `Head End`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import read_text
from motionrft.settings.plain_yaml import read_yaml
from motionrft.skeleton import SMPL22

_LARGEST_WEIGHT, _SMALLEST_TOTAL = 1e6, 1e-6
"""Weights of a user's joint map: beyond these, their mean is noise."""

Source = str | Mapping[str, float]


@dataclass(frozen=True)
class JointMap:
    """name: who uses it. sources: for each of the 22 SMPL joints, a source name or weights over several."""

    name: str
    sources: tuple[Source, ...]

    def wanted(self) -> set[str]:
        """The normalised source names that a file must have."""
        return {normal(name) for source in self.sources for name in _weights(source)}

    def checked(self, names: Sequence[str], file: str) -> JointMap:
        """Itself, if `file` has all the joints it names.

        Raises:
            UserError: some are missing.
        """
        missing = self.wanted() - {normal(name) for name in names}
        if missing:
            raise UserError(
                f"{file}: the joint map {self.name} names {', '.join(sorted(missing)[:6])}, which the file lacks."
            )
        return self

    def matrix(self, names: Sequence[str]) -> Tensor:
        """(22, J) float64 weights over the file's joints."""
        place = {normal(name): index for index, name in enumerate(names)}
        place.update({name: index for index, name in enumerate(names)})
        matrix = torch.zeros(len(self.sources), len(names), dtype=torch.float64)
        for joint, source in enumerate(self.sources):
            for name, weight in _weights(source).items():
                matrix[joint, place[name if name in place else normal(name)]] += weight
        return matrix


def _weights(source: Source) -> Mapping[str, float]:
    return {source: 1.0} if isinstance(source, str) else source


def normal(name: str) -> str:
    """A joint name without namespace, case and separators: `mixamorig:LeftUpLeg` and `left_up_leg` are one."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(.*[:|]|mixamorig\d*_?|[fm]_avg_)", "", name).lower())


def arranged(
    pelvis: str, legs: Sequence[Sequence[Source]], arms: Sequence[Sequence[Source]], trunk: Sequence[Source]
) -> tuple[Source, ...]:
    """Sources in SMPL order.

    Args:
        legs: left, right, each hip, knee, ankle, foot.
        arms: left, right, each collar, shoulder, elbow, wrist.
        trunk: spine1, spine2, spine3, neck, head.
    """
    hips, knees, ankles, feet = zip(*legs, strict=True)
    collars, *rest = zip(*arms, strict=True)
    s1, s2, s3, neck, head = trunk
    lower = (pelvis, *hips, s1, *knees, s2, *ankles, s3, *feet)
    return (*lower, neck, *collars, head, *(joint for pair in rest for joint in pair))


def _cmu() -> JointMap:
    """CMU's BVH files name a joint after the bone that starts there; SMPL's joints are where CMU's bones end."""
    legs = [[f"{side}{part}" for part in ("UpLeg", "Leg", "Foot", "ToeBase")] for side in ("Left", "Right")]
    arms: list[list[Source]] = [
        [{"Neck": 0.6, f"{side}Arm": 0.4}, *(f"{side}{part}" for part in ("Arm", "ForeArm", "Hand"))]
        for side in ("Left", "Right")
    ]
    return JointMap("cmu", arranged("Hips", legs, arms, ("Spine", "Spine1", "Neck", "Neck1", "Head End")))


CMU = _cmu()
CMU_MARKS = frozenset(("lhipjoint", "lowerback"))
"""Joints that only CMU's own skeleton has: with them, `CMU` is the map to use."""


def joint_map_of(mapping: Mapping[str, object], file: str) -> JointMap:
    """A map from a user's table: SMPL joint name -> source name, list of names (their mean), or name -> weight.

    Raises:
        UserError: a joint is missing or unknown, or a source is none of the three forms.
    """
    unknown, missing = set(mapping) - set(SMPL22.names), set(SMPL22.names) - set(mapping)
    if unknown or missing:
        wrong = f"unknown {sorted(map(str, unknown))}" if unknown else f"missing {sorted(missing)}"
        raise UserError(
            f"{file}: {wrong}. A joint map names a source for each of: {', '.join(SMPL22.names)}."
        )
    sources: list[Source] = []
    for joint in SMPL22.names:
        source = _in_words(mapping[joint])
        if isinstance(source, str):
            sources.append(source)
        elif isinstance(source, list) and source and all(isinstance(name, str) for name in source):
            sources.append({name: 1 / len(source) for name in source})
        elif isinstance(source, dict) and (total := _total(source)) > _SMALLEST_TOTAL:
            sources.append({str(name): weight / total for name, weight in source.items()})
        else:
            raise UserError(
                f"{file}: {joint}: {source!r} is neither a name, a list of names, nor weights of a positive sum."
            )
    return JointMap(file, tuple(sources))


def _in_words(source: object) -> object:
    """Numbers of joints, by which an array calls them, as names."""
    if isinstance(source, list):
        return [_in_words(each) for each in source]
    return str(source) if type(source) is int else source


def _total(weights: Mapping[object, object]) -> float:
    """The sum of a user's weights; 0 where one of them is no finite number."""
    numbers = [
        float(weight)
        for weight in weights.values()
        if isinstance(weight, int | float) and not isinstance(weight, bool)
    ]
    legal = len(numbers) == len(weights) and all(abs(number) < _LARGEST_WEIGHT for number in numbers)
    return math.fsum(numbers) if legal else 0.0


def read_joint_map(path: Path) -> JointMap:
    """A user's joint map in YAML or JSON.

    Raises:
        UserError: unreadable, or not a map of the 22 joints.
    """
    mapping = read_yaml(read_text(path), str(path))
    if not isinstance(mapping, dict):
        raise UserError(f"{path}: a joint map is a table of SMPL joint: source joint.")
    return joint_map_of(mapping, str(path))
