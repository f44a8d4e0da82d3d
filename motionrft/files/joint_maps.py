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
        matrix = torch.zeros(len(self.sources), len(names), dtype=torch.float64)
        for joint, source in enumerate(self.sources):
            for name, weight in _weights(source).items():
                matrix[joint, place[normal(name)]] += weight
        return matrix


def _weights(source: Source) -> Mapping[str, float]:
    return {source: 1.0} if isinstance(source, str) else source


def normal(name: str) -> str:
    """A joint name without namespace, case and separators: `mixamorig:LeftUpLeg` and `left_up_leg` are one."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(.*[:|]|mixamorig\d*_?|[fm]_avg_)", "", name).lower())


def _sided(
    pelvis: str, left: Sequence[str], right: Sequence[str], middle: Sequence[Source]
) -> tuple[Source, ...]:
    """Sources in SMPL order from: hip knee ankle foot collar shoulder elbow wrist of each side; spine1..3, neck, head."""
    s1, s2, s3, neck, head = middle
    pairs = [side for both in zip(left, right, strict=True) for side in both]
    hips, knees, ankles, feet = pairs[0:2], pairs[2:4], pairs[4:6], pairs[6:8]
    arms = pairs[10:]
    return (pelvis, *hips, s1, *knees, s2, *ankles, s3, *feet, neck, *pairs[8:10], head, *arms)


def _both(template: Sequence[str], left: str, right: str) -> tuple[list[str], list[str]]:
    return [name.replace("*", left) for name in template], [name.replace("*", right) for name in template]


_BANDAI = _both(
    ("UpperLeg_*", "LowerLeg_*", "Foot_*", "Toes_*", "Shoulder_*", "UpperArm_*", "LowerArm_*", "Hand_*"),
    "L",
    "R",
)
_BIPED = _both(
    ("*UpLeg", "*Leg", "*Foot", "*ToeBase", "*Shoulder", "*Arm", "*ForeArm", "*Hand"), "Left", "Right"
)
_UNREAL = _both(
    ("thigh_*", "calf_*", "foot_*", "ball_*", "clavicle_*", "upperarm_*", "lowerarm_*", "hand_*"), "l", "r"
)
_SMPL = _both(
    ("*_Hip", "*_Knee", "*_Ankle", "*_Foot", "*_Collar", "*_Shoulder", "*_Elbow", "*_Wrist"), "L", "R"
)


def _cmu() -> tuple[Source, ...]:
    """CMU's BVH files name a joint after the bone that starts there; SMPL's joints are where CMU's bones end."""
    sources = list(_sided("Hips", *_BIPED, ("Spine", "Spine1", "Neck", "Neck1", "Head End")))
    for collar, arm in ((13, "LeftArm"), (14, "RightArm")):
        sources[collar] = {"Neck": 0.6, arm: 0.4}
    return tuple(sources)


BUILT_IN = (
    JointMap("smpl", SMPL22.names),
    JointMap("smpl", _sided("Pelvis", *_SMPL, ("Spine1", "Spine2", "Spine3", "Neck", "Head"))),
    JointMap(
        "bandai-namco",
        _sided("Hips", *_BANDAI, ("Spine", {"Spine": 0.5, "Chest": 0.5}, "Chest", "Neck", "Head")),
    ),
    JointMap("unreal", _sided("pelvis", *_UNREAL, ("spine_01", "spine_02", "spine_03", "neck_01", "head"))),
    JointMap("mixamo", _sided("Hips", *_BIPED, ("Spine", "Spine1", "Spine2", "Neck", "Head"))),
    JointMap("cmu", _cmu()),
)
"""In the order they are tried; CMU's files lack Mixamo's Spine2, Mixamo's lack CMU's Neck1."""


def recognise(names: Sequence[str], file: str) -> JointMap:
    """The built-in map whose joints are all among `names`.

    Raises:
        UserError: none fits; the message says which came nearest and what it misses.
    """
    have = {normal(name) for name in names}
    for joint_map in BUILT_IN:
        if joint_map.wanted() <= have:
            return joint_map
    nearest = min(BUILT_IN, key=lambda joint_map: len(joint_map.wanted() - have))
    missing = ", ".join(sorted(nearest.wanted() - have)[:6])
    known = ", ".join(dict.fromkeys(joint_map.name for joint_map in BUILT_IN))
    raise UserError(
        f"{file}: the skeleton is none of {known}; nearest is {nearest.name}, without {missing}. "
        f"Say which joint is which with --joint-map FILE."
    )


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
        source = mapping[joint]
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


UNITS = {
    "metres": 1.0,
    "centimetres": 0.01,
    "millimetres": 0.001,
    "inches": 0.0254,
    "CMU units": 0.0254 / 0.45,
}
"""Metres in one of each unit that motion files come in. CMU's unit is 1 / 0.45 inch."""
_HUMAN_LEG = 0.82
"""Hip to ankle along the bones, metres, of an average adult."""


def guess_unit(joints: Tensor) -> str:
    """The unit in which the legs of (T, 22, 3) have the most human length."""
    first = joints[0]
    bones = [(first[child] - first[parent]).norm() for parent, child in ((1, 4), (4, 7), (2, 5), (5, 8))]
    leg = float(sum(bones[1:], start=bones[0])) / 2
    if leg <= 0:
        return "metres"
    return min(UNITS, key=lambda unit: abs(math.log(leg * UNITS[unit] / _HUMAN_LEG)))
