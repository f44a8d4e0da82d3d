"""A folder of motions as the source of an evaluation: whoever made them, they are named after the test
items."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from motionrft.data import pad
from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.generation import Made
from motionrft.evaluation.items import Drawn
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.files import motion_files, read_motions
from motionrft.training.fingerprints import folder_hash

_SHOWN = 3


class FolderSource:
    """Motions `KEY.npy` (or .npz, .safetensors, .bvh), or `KEY_0.npy`, `KEY_1.npy`, … for several
    repetitions.

    KEY is an item's name in the data set. A text file of the same name beside a motion holds the caption that
    it was made from; without one, the caption is the one that the repetition draws.

    Args:
        folder: read recursively.
        first_seed: of the repetitions; repetition n takes the n-th motion of each item, starting over at the
            end.
    """

    settings: Mapping[str, Any] = {}

    def __init__(self, folder: Path, name: str | None = None, first_seed: int = 0):
        self.folder, self.first_seed = folder, first_seed
        self.name = name or folder.name
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of motions.")
        self.paths = motion_files([folder])
        if len(self.paths) < CANDIDATES:
            raise UserError(
                f"{folder}: {len(self.paths)} motions are too few: R-Precision ranks {CANDIDATES} candidates, so at "
                f"least {CANDIDATES} motions named after test items are needed."
            )
        self.identity = folder_hash(folder)
        self.files: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            self.files[path.stem].append(path)
            base, _, number = path.stem.rpartition("_")
            if base and number.isdigit():
                self.files[base].append(path)

    def available(self, drawn: Drawn) -> Drawn:
        found = [row for row, key in enumerate(drawn.keys) if key in self.files]
        if len(found) < CANDIDATES:
            raise UserError(
                f"{self.folder}: {len(found)} of its {len(self.paths)} motions are named after items of the test set, "
                f"{CANDIDATES} are needed. Name them by clip, as in {', '.join(drawn.keys[:_SHOWN])}."
            )
        chosen = drawn.index(torch.tensor(found))
        captions = tuple(
            _caption(self.files[k][0], c) for k, c in zip(chosen.keys, chosen.captions, strict=True)
        )
        return replace(chosen, captions=captions)

    def make(self, drawn: Drawn, seed: int) -> Made:
        repetition = seed - self.first_seed
        paths = [self.files[key][repetition % len(self.files[key])] for key in drawn.keys]
        motions = [read_motions(path)[0] for path in paths]
        first = motions[0]
        for motion in motions:
            if (motion.representation, motion.fps) != (first.representation, first.fps):
                raise UserError(
                    f"{motion.source}: {motion.representation} at {motion.fps:g} fps, but {first.source.name} is "
                    f"{first.representation} at {first.fps:g} fps. Bring the folder to one form with motionrft convert."
                )
        padded, lengths = pad([torch.from_numpy(motion.array) for motion in motions])
        return Made(padded, lengths, first.representation, first.fps)


def _caption(path: Path, drawn: Caption) -> Caption:
    """The caption beside a motion, where there is one: `walk.npy`, `walk.txt`."""
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        return drawn
    lines = beside.read_text(encoding="utf-8").strip().splitlines()
    text = lines[0].split("#", 1)[0].strip() if lines else drawn.text
    return drawn if text == drawn.text else Caption(text)
