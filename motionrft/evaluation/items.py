"""Which test items are judged, what is said of them and how long they are: the part of a protocol that
silently differs.

Two selections, both reproducible from a seed:

- `fixed`: every item of the split, whole, one of its captions drawn by (seed, item). Real motions are the
same in every
  repetition, so they are embedded once and can be stored: a reference set evaluates without the data.
- `official`: as the published evaluations draw items (Guo et al. 2022), every choice recorded.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.builtin import items_path
from motionrft.data import MotionDataset
from motionrft.data.captions import Caption
from motionrft.data.folder import DEFAULT_FPS
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.measure import Measured, measure_clips
from motionrft.parsing import parsing
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for, item_seed
from motionrft.training.weights import load_weights, save_weights

FAMILY = "evaluation-items"


@dataclass(frozen=True)
class TestItem:
    """One motion to be made: its name, what may be said of it, frames, and what kind of motion it is."""

    __test__ = False

    key: str
    captions: tuple[Caption, ...]
    frames: int
    label: str | None = None


@dataclass(frozen=True)
class Drawn:
    """The items of one repetition.

    keys, captions: N each. lengths: (N,) int64 frames at `fps`. labels: (N,) int64, equal where kinds are, or None.
    starts: (N,) int64, first frame inside the item. real: what the evaluator saw in the real motions, or
        None.
    """

    keys: tuple[str, ...]
    captions: tuple[Caption, ...]
    lengths: Tensor  # (N,)
    labels: Tensor | None  # (N,)
    starts: Tensor  # (N,)
    real: Measured | None
    fps: float = DEFAULT_FPS

    @property
    def seconds(self) -> Tensor:
        """(N,) float64: what a generator is asked for, whatever its own rate."""
        return self.lengths.double() / self.fps

    def index(self, items: Tensor) -> "Drawn":
        """The chosen items, in the given order; `items` is (M,) int64."""
        chosen = items.tolist()
        return Drawn(
            tuple(self.keys[i] for i in chosen),
            tuple(self.captions[i] for i in chosen),
            self.lengths[items],
            None if self.labels is None else self.labels[items],
            self.starts[items],
            None if self.real is None else self.real.index(items),
            self.fps,
        )

    def choices(self) -> dict[str, list[Any]]:
        """What was drawn, for the record: item, first frame, frames, caption."""
        texts = [caption.text for caption in self.captions]
        return {
            "key": list(self.keys),
            "start": self.starts.tolist(),
            "frames": self.lengths.tolist(),
            "caption": texts,
        }


class EvaluationItems(ABC):
    """A source of test items."""

    selection: str
    """`fixed` or `official`."""
    identity: str
    """A hash of items and captions: results on different ones are never compared."""
    split: str

    @abstractmethod
    def draw(self, seed: int) -> Drawn:
        """The items of the repetition with that seed."""


class FixedItems(EvaluationItems):
    """Whole items in a fixed order; only the caption depends on the seed.

    Args:
        items: at least one.
        real: of their real motions, judged by `evaluator`, or None where there are none (bare prompts).
        evaluator: identity of the evaluator of `real`, or None.
        fps: rate at which the items' frames are counted.
    """

    selection = "fixed"

    def __init__(
        self,
        items: Sequence[TestItem],
        real: Measured | None,
        evaluator: str | None,
        split: str = "test",
        fps: float = DEFAULT_FPS,
    ):
        self.items, self.real, self.evaluator, self.split = tuple(items), real, evaluator, split
        self.fps = fps
        described = [f"{i.key} {i.frames} {'|'.join(c.text for c in i.captions)}" for i in self.items]
        self.identity = text_hash("fixed", split, *described)
        self.lengths = torch.tensor([item.frames for item in self.items])  # (N,)
        self.labels = number_labels([item.label for item in self.items])  # (N,)

    @classmethod
    def of_dataset(
        cls, dataset: MotionDataset, evaluator: Evaluator, per_label: int | None = None, batch: int = 64
    ) -> "FixedItems":
        """Items of a split, real motions embedded.

        Args:
            per_label: at most so many of each kind (kinds can be very uneven), chosen by a hash of their
                names.
        """
        chosen = capped(
            [item.label for item in dataset.items], [item.key for item in dataset.items], per_label
        )
        chosen = [i for i in chosen if dataset.items[i].length >= evaluator.min_frames]
        items = [dataset.items[i] for i in chosen]
        if evaluator.representation in dataset.representations:
            evaluator.check_fits(dataset.width(evaluator.representation), str(dataset.folder))
        motions = Motions(dataset, evaluator.representation, evaluator.fps)
        real = measure_clips(evaluator, (motions.motion(i) for i in chosen), batch)
        tested = [TestItem(item.key, item.captions, item.length, item.label) for item in items]
        return cls(tested, real, evaluator.identity, dataset.split, dataset.fps)

    @classmethod
    def of_prompts(
        cls, prompts: Sequence[str], seconds: Sequence[float], split: str = "prompts"
    ) -> "FixedItems":
        """Bare prompts; equal prompts are of one kind, and there is nothing real to compare with."""
        frames = [round(each * DEFAULT_FPS) for each in seconds]
        rows = enumerate(zip(prompts, frames, strict=True))
        items = [TestItem(f"{row:05d}", (Caption(text),), count, text) for row, (text, count) in rows]
        return cls(items, None, None, split)

    @classmethod
    def load(cls, folder: Path | str) -> "FixedItems":
        """Read a reference set that `save` wrote.

        Raises:
            UserError: no such folder, a damaged one, or no reference set.
        """
        tensors, config = load_weights(folder)
        if config.get("family") != FAMILY:
            raise UserError(f"{folder}: no set of evaluation items.")
        with parsing(folder, "a set of evaluation items"):
            items = [_item(values) for values in config["items"]]
            real = Measured.of_tensors(tensors) if tensors else None
            return cls(items, real, config["evaluator"], config["split"], config.get("fps", DEFAULT_FPS))

    @classmethod
    def builtin(cls, split: str = "test") -> "FixedItems":
        """The items that travel with the package, judged by the built-in evaluator."""
        return cls.load(items_path(split))

    def save(self, folder: Path | str, card: str | None = None) -> None:
        """Write items, captions and the real motions' measures: enough to evaluate without the data."""
        config = {
            "family": FAMILY,
            "split": self.split,
            "evaluator": self.evaluator,
            "fps": self.fps,
            "items": [asdict(item) for item in self.items],
        }
        save_weights(folder, self.real.to_tensors() if self.real else {}, config, card)

    def check_evaluator(self, evaluator: Evaluator) -> None:
        """Raise `UserError` where the stored measures were made by another evaluator."""
        if self.evaluator is not None and self.evaluator != evaluator.identity and evaluator.embeds:
            raise UserError(
                f"the stored test items were embedded by another evaluator ({self.evaluator[:12]}) than "
                f"{evaluator.name} ({evaluator.identity[:12]}). Give the data itself with --data."
            )

    def unembedded(self) -> "FixedItems":
        """The same items for `NoEvaluator`: of their real motions only what no evaluator is needed for."""
        real = None if self.real is None else Measured(self.real.embeddings[:, :0], self.real.physics)
        return FixedItems(self.items, real, None, self.split, self.fps)

    def subset(self, limit: int) -> "FixedItems":
        """The first `limit` items in the order of a hash of their names: a quicker look at the same set."""
        order = sorted(range(len(self.items)), key=lambda i: item_seed(0, self.items[i].key))[:limit]
        real = None if self.real is None else self.real.index(torch.tensor(sorted(order)))
        chosen = [self.items[i] for i in sorted(order)]
        return FixedItems(chosen, real, self.evaluator, self.split, self.fps)

    def draw(self, seed: int) -> Drawn:
        picks = [item_seed(seed, "caption", item.key) % len(item.captions) for item in self.items]
        return Drawn(
            tuple(item.key for item in self.items),
            tuple(item.captions[pick] for item, pick in zip(self.items, picks, strict=True)),
            self.lengths,
            self.labels,
            torch.zeros_like(self.lengths),
            self.real,
            self.fps,
        )


def _item(values: dict[str, Any]) -> TestItem:
    captions = [Caption(c["text"], tuple(c["tokens"]), c["start"], c["end"]) for c in values["captions"]]
    return TestItem(values["key"], tuple(captions), values["frames"], values["label"])


class OfficialItems(EvaluationItems):
    """Items as the published evaluations draw them: `min <= frames < 200`, cut to a multiple of 4, with
    probability 1/3 by one unit more, a random start, a random caption.

    Args:
        dataset: read with `max_frames` of at least 200, so that no clip was cut before.
        min_frames: 40 for HumanML3D, 24 for KIT-ML.
    """

    selection = "official"
    unit, limit = 4, 200

    def __init__(self, dataset: MotionDataset, evaluator: Evaluator, min_frames: int = 40, batch: int = 64):
        self.dataset, self.evaluator, self.batch = dataset, evaluator, batch
        self.motions = Motions(dataset, evaluator.representation, evaluator.fps)
        self.split = dataset.split
        self.identity = text_hash("official", dataset.identity, str(min_frames))
        lengths = dataset.lengths.tolist()
        self.kept = [i for i, frames in enumerate(lengths) if min_frames <= frames < self.limit]
        if not self.kept:
            raise UserError(
                f"{dataset.folder}: no item of {min_frames} to {self.limit - 1} frames in {dataset.split}."
            )

    def draw(self, seed: int) -> Drawn:
        random = generator_for(seed, "official items")
        order = [self.kept[i] for i in torch.randperm(len(self.kept), generator=random).tolist()]
        fractions = torch.rand(len(order), 3, generator=random, dtype=torch.float64)  # (N, 3)
        items = [self.dataset.items[i] for i in order]
        full = torch.tensor([item.length for item in items])  # (N,)
        units = full // self.unit - (fractions[:, 0] < 1 / 3).long()  # (N,)
        lengths = units.clamp(min=1) * self.unit  # (N,)
        starts = (fractions[:, 1] * (full - lengths + 1)).long()  # (N,)
        captions = [i.captions[int(f * len(i.captions))] for i, f in zip(items, fractions[:, 2], strict=True)]
        rate = self.evaluator.fps / self.dataset.fps
        spans = zip(order, starts.tolist(), lengths.tolist(), strict=True)
        clips = (self.motions.motion(i)[round(s * rate) :][: round(n * rate)] for i, s, n in spans)
        real = measure_clips(self.evaluator, clips, self.batch)
        labels = number_labels([item.label for item in items])  # (N,)
        keys = tuple(item.key for item in items)
        return Drawn(keys, tuple(captions), lengths, labels, starts, real, self.dataset.fps)


def number_labels(labels: Sequence[str | None]) -> Tensor | None:
    """(N,) int64, one number a kind in sorted order; None where an item has no label."""
    names = [label for label in labels if label is not None]
    if len(names) < len(labels):
        return None
    number = {name: row for row, name in enumerate(sorted(set(names)))}
    return torch.tensor([number[name] for name in names])


def capped(labels: Sequence[str | None], keys: Sequence[str], per_label: int | None) -> list[int]:
    """Positions, in order, of at most `per_label` items of each label; all where there are no labels."""
    if per_label is None or any(label is None for label in labels):
        return list(range(len(labels)))
    taken: dict[str | None, int] = {}
    chosen = []
    for i in sorted(range(len(keys)), key=lambda i: item_seed(0, keys[i])):
        if taken.setdefault(labels[i], 0) < per_label:
            taken[labels[i]] += 1
            chosen.append(i)
    return sorted(chosen)
