"""A folder of motions as the source of an evaluation: whoever made them, they belong to test items."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from motionrft.data import pad
from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.items import Drawn
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.evaluation.sources import Made
from motionrft.files import Motion, motion_files, read_motions
from motionrft.files.captions import first_caption
from motionrft.files.reading import ReadingOptions
from motionrft.training.fingerprints import folder_hash

_SHOWN = 3


class FolderSource:
    """Motions `KEY.npy` (or .npz, .safetensors, .bvh), or `KEY_0.npy`, `KEY_1.npy`, … for several repetitions.

    KEY is an item's name in the data set. A text file of the same name beside a motion holds the caption that it was
    made from; without one, the caption is the one that the repetition draws. Motions named after nothing, as
    `motionrft sample` writes them, belong to an item that has the caption beside them.

    Args:
        folder: read recursively.
        first_seed: of the repetitions; repetition n takes the n-th motion of each item, starting over at the end.
        captions: item name to all of its captions.
        reading: how the motions are read.
    """

    settings: Mapping[str, Any] = {}

    def __init__(
        self,
        folder: Path,
        name: str | None = None,
        first_seed: int = 0,
        captions: Mapping[str, Sequence[Caption]] | None = None,
        reading: ReadingOptions | None = None,
    ):
        self.folder, self.first_seed, self.captions = folder, first_seed, captions or {}
        self.name, self.reading = name or folder.name, reading
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of motions.")
        self.paths = motion_files([folder])
        if len(self.paths) < CANDIDATES:
            raise UserError(
                f"{folder}: {len(self.paths)} motions are too few: R-Precision ranks {CANDIDATES} candidates, so "
                f"at least {CANDIDATES} motions of test items are needed."
            )
        self.identity = folder_hash(folder)
        self.files: dict[str, list[Path]] = defaultdict(list)
        self._match_names()
        self._match_texts()

    def available(self, drawn: Drawn) -> Drawn:
        found = [row for row, key in enumerate(drawn.keys) if self.files.get(key)]
        if len(found) < CANDIDATES:
            raise UserError(
                f"{self.folder}: {len(found)} test items have a motion there, {CANDIDATES} are needed. Name the motions "
                f"by clip, as in {', '.join(drawn.keys[:_SHOWN])}, or put their captions beside them."
            )
        chosen = drawn.index(torch.tensor(found))
        captions = tuple(self._caption(key, c) for key, c in zip(chosen.keys, chosen.captions, strict=True))
        return replace(chosen, captions=captions)

    def make(self, drawn: Drawn, seed: int) -> Made:
        repetition = seed - self.first_seed
        paths = [self.files[key][repetition % len(self.files[key])] for key in drawn.keys]
        motions = [self._only_motion(path) for path in paths]
        first = motions[0]
        for motion in motions:
            if (motion.representation, motion.fps) != (first.representation, first.fps):
                raise UserError(
                    f"{motion.source}: {motion.representation} at {motion.fps:g} fps, but {first.source.name} is "
                    f"{first.representation} at {first.fps:g} fps. Bring them to one form with motionrft convert."
                )
        padded, lengths = pad([torch.from_numpy(motion.array) for motion in motions])
        return Made(padded, lengths, first.representation, first.fps)

    def _only_motion(self, path: Path) -> Motion:
        first, *others = read_motions(path, options=self.reading)
        if others:
            raise UserError(
                f"{path}: holds {1 + len(others)} motions, and an item has one a file: {path.stem}_0.npy, "
                f"{path.stem}_1.npy, … Take a batch apart with motionrft convert."
            )
        return first

    def _match_names(self) -> None:
        for path in self.paths:
            self.files[path.stem].append(path)
            base, _, number = path.stem.rpartition("_")
            if base and number.isdigit() and path.stem not in self.captions:
                self.files[base].append(path)

    def _match_texts(self) -> None:
        """Give motions that are named after nothing to the items of their caption, the neediest item first."""
        items: dict[str, list[str]] = defaultdict(list)
        for key, captions in self.captions.items():
            for text in {caption.text for caption in captions}:
                items[text].append(key)
        named = {path for key in self.captions for path in self.files.get(key, ())}
        for path in self.paths:
            keys = items.get(_text_beside(path) or "")
            if keys and path not in named:
                self.files[min(keys, key=lambda key: len(self.files[key]))].append(path)

    def _caption(self, key: str, drawn: Caption) -> Caption:
        """What the item's motion was made from; the data set's own caption of that text where it has one."""
        text = _text_beside(self.files[key][0])
        known = [drawn, *self.captions.get(key, ())]
        return drawn if text is None else next((c for c in known if c.text == text), Caption(text))


def _text_beside(path: Path) -> str | None:
    """The caption beside a motion, where there is one: `walk.npy`, `walk.txt`."""
    return first_caption(path.with_suffix(".txt")) or None
