"""Label files of InstructMotion and AToM: which of two motions of a prompt people, or a model, preferred, as tokens.

One JSON object a line: `prompt`, `sample_1`, `sample_2` (each `features`, the path of its motion), `chosen`: who chose
which, and how much better it is. The last entry of `chosen` counts. Tokens of a motion lie beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import Place, json_lines, parsing, text_of
from motionrft.preferences.pairs import DEGREE_SMOOTHING, UNSURE

SKIPPED = "skipped"
BETTER = ("Much better", "Better")
Degrees = Literal["all", "all_better", "much_better", "better", "slightly_better", "unsure"]
_DEGREE_OF = {
    "much_better": "Much better", "better": "Better", "slightly_better": "Slightly better", "unsure": UNSURE,
}  # fmt: skip


@dataclass(frozen=True)
class LabelledPair:
    """id: the line's own. better, worse: (N,) int64 codes. smoothing: what `degree` says (`DEGREE_SMOOTHING`)."""

    id: Any
    prompt: str
    better: Tensor
    worse: Tensor
    degree: str
    smoothing: float = 0.0


def read_labels(
    path: Path, degrees: Degrees = "all", unsure: bool = False, smoothing: bool = False
) -> list[LabelledPair]:
    """Pairs of a label file, in its order; skipped ones are left out.

    Args:
        degrees: which to keep: `all`, `all_better` (the two clearest), or one.
        unsure: keep those where nobody could tell; so does `smoothing`, for which they say that nothing is known.

    Raises:
        UserError: a line lacks something, names an unknown degree, or its tokens are not there.
    """
    return list(_pairs(path, degrees, unsure or smoothing or degrees == "unsure", smoothing))


def _pairs(path: Path, degrees: Degrees, unsure: bool, smoothing: bool) -> Iterator[LabelledPair]:
    for place, entry in json_lines(path):
        choice, degree = _last(entry, place)
        if choice == SKIPPED or (degree == UNSURE and not unsure):
            continue
        if degree not in DEGREE_SMOOTHING:
            place.fail(f"degree of preference is {degree!r}; there are {', '.join(DEGREE_SMOOTHING)}")
        if (degrees == "all_better" and degree not in BETTER) or degree != _DEGREE_OF.get(degrees, degree):
            continue
        if choice not in ("sample_1", "sample_2"):
            place.fail(f"choice is {choice!r}; there are sample_1, sample_2 and {SKIPPED}")
        other = "sample_2" if choice == "sample_1" else "sample_1"
        better, worse = (_tokens(path.parent, entry, side, place) for side in (choice, other))
        quantity = DEGREE_SMOOTHING[degree] if smoothing else 0.0
        yield LabelledPair(entry.get("id"), text_of(entry, "prompt", place), better, worse, degree, quantity)


def token_file(features: str) -> str:
    """Where the tokens of a motion lie, by the path of its features; published code reads `data2` as `data3`."""
    return f"{features[:-4].replace('data2', 'data3')}_token.npy".replace("features", "tokens")


def _last(entry: dict[str, Any], place: Place) -> tuple[str, str]:
    chosen = entry.get("chosen")
    if not isinstance(chosen, list) or not chosen or not isinstance(chosen[-1], dict):
        place.fail("chosen is no list of choices")
    return str(chosen[-1].get("choice")), str(chosen[-1].get("degree of preference"))


def _tokens(folder: Path, entry: dict[str, Any], side: str, place: Place) -> Tensor:
    sample = entry.get(side)
    if not isinstance(sample, dict):
        place.fail(f"{side} is no object with features")
    path = folder / token_file(text_of(sample, "features", place))
    if not path.is_file():
        raise UserError(f"{place}: its tokens {path} are not there.")
    with parsing(path, "tokens of a motion, (1, N)"):
        codes = np.load(path, allow_pickle=False)[0].astype(np.int64)
        return torch.from_numpy(codes)
