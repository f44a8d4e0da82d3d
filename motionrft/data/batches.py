"""Batches: which items a step sees (a function of seed and step, so a resumed run needs no cursor), and padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.folder import MotionDataset
from motionrft.errors import UserError
from motionrft.training.seeds import generator_for


@dataclass(frozen=True)
class Batch:
    """A padded batch, or some rows of one.

    items: (B,) int64 positions in the data set.
    motion: (B, T, D) as stored, zero beyond each length.
    lengths: (B,) int64.
    texts: one caption an item.
    """

    items: Tensor  # (B,)
    motion: Tensor  # (B, T, D)
    lengths: Tensor  # (B,)
    texts: list[str]


def pad(motions: Sequence[Tensor], multiple: int = 1, longest: int | None = None) -> tuple[Tensor, Tensor]:
    """Join motions (T_i, D) into (B, T, D) with zeros behind each; and (B,) lengths.

    Args:
        multiple: T is a multiple of it. longest: frames of the longest of all, where these are but some rows of a batch.
    """
    lengths = torch.tensor([motion.shape[0] for motion in motions])  # (B,)
    frames = -(-(int(lengths.max()) if longest is None else longest) // multiple) * multiple
    padded = torch.zeros(len(motions), frames, *motions[0].shape[1:])  # (B, T, ...)
    for row, motion in enumerate(motions):
        padded[row, : motion.shape[0]] = motion
    return padded, lengths


class BalancedBatches:
    """Items drawn with probability 1 / sqrt(takes of their label): rare kinds of motion are seen, common ones not lost.

    Without labels every item is equally likely. `group` batches are drawn together and share their items out by
    length, so that little of a batch is padding; over a group the draw is the same as batch by batch.
    """

    def __init__(self, dataset: MotionDataset, batch: int, seed: int, group: int = 1):
        self.batch, self.seed, self.group = batch, seed, group
        self.lengths = dataset.lengths
        labels = dataset.labels
        counts = torch.ones(len(dataset)) if labels is None else torch.bincount(labels)[labels].float()
        self.weights = counts.rsqrt()  # (N,)

    def __getitem__(self, step: int) -> Tensor:
        """(B,) items of a step."""
        draws = generator_for(self.seed, "balanced", step // self.group)
        items = torch.multinomial(self.weights, self.group * self.batch, replacement=True, generator=draws)
        if self.group > 1:
            items = items[self.lengths[items].argsort(stable=True)]
        order = torch.randperm(self.group, generator=draws)  # (group,)
        return items.reshape(self.group, self.batch)[order[step % self.group]]


class _Members:
    """Which items have each label, as (N,) items label by label: a tensor a label would be a kilobyte a label.

    Args:
        labels: (N,) int64 from 0 on; negative ones are of no label.
    """

    def __init__(self, labels: Tensor):
        order = labels.argsort(stable=True)  # (N,)
        self.items = order[int((labels < 0).sum()) :]
        self.counts = torch.bincount(labels[labels >= 0])  # (labels,)
        self.first = self.counts.cumsum(0) - self.counts  # (labels,)

    def __len__(self) -> int:
        return len(self.counts)

    def of(self, label: int) -> Tensor:
        """The items of a label, in order."""
        first = int(self.first[label])
        return self.items[first : first + int(self.counts[label])]

    def picked(self, labels: Tensor, shares: Tensor) -> Tensor:
        """(B,) items: of each label (B,) the one at that share (B,) of its members."""
        return self.items[self.first[labels] + (shares * self.counts[labels]).long()]


class DistinctBatches:
    """Batches in which no two items share a label, labels drawn with weight sqrt(takes): no false negatives.

    Without labels, items of equal first caption count as equal.
    """

    def __init__(self, dataset: MotionDataset, batch: int, seed: int):
        self.seed = seed
        labels = dataset.labels
        if labels is None:
            order: dict[str, int] = {}
            texts = map(dataset.items.text, range(len(dataset)))
            labels = torch.tensor([order.setdefault(text, len(order)) for text in texts])
        self.members = _Members(labels)
        self.weights = self.members.counts.float().sqrt()  # (labels,)
        self.batch = min(batch, len(self.members))

    def __getitem__(self, step: int) -> Tensor:
        """(B,) items of a step."""
        draws = generator_for(self.seed, "distinct", step)
        chosen = torch.multinomial(self.weights, self.batch, generator=draws)  # (B,)
        pick = torch.rand(self.batch, generator=draws)  # (B,)
        return self.members.picked(chosen, pick)


class GroupedBatches:
    """As `DistinctBatches`, but a share of every batch comes in whole groups (`MotionDataset.groups`).

    A group's items, such as two events in both orders, are each other's hardest negatives, and meet in one batch.

    Raises:
        UserError: no item of the split has a group.
    """

    def __init__(self, dataset: MotionDataset, batch: int, seed: int, share: float = 0.5):
        groups = dataset.groups
        if not bool((groups >= 0).any()):
            raise UserError(
                f"{dataset.folder}: `batches: grouped` needs clips that differ in order or number of events alone, and "
                f"the split {dataset.split} names none (column `group` of index.csv). `convert --dataset` with "
                "`compose` makes such clips; or leave `batches` out."
            )
        self.seed, self.share = seed, share
        self.singles = DistinctBatches(dataset, batch, seed)
        fewest, room = int(torch.bincount(groups[groups >= 0]).min()), int(share * self.singles.batch)
        if room < max(fewest, 2):
            raise UserError(
                f"`batches: grouped`: no group fits into its share of a batch, {room} of {self.singles.batch} clips (the "
                f"smallest group of {dataset.folder} has {fewest}). Give larger batches, of clips of as many kinds."
            )
        self.groups = _Members(groups)
        self.labels, self.alone = dataset.labels, groups < 0

    def __getitem__(self, step: int) -> Tensor:
        """(B,) items of a step, no two of one label."""
        draws = generator_for(self.seed, "grouped", step)
        rest = self.singles[step]
        room, chosen, used = int(self.share * len(rest)), list[int](), set[int]()
        for number in torch.randperm(len(self.groups), generator=draws)[: 2 * room].tolist():
            members = self.groups.of(number)
            labels = set(self._labels(members))
            if len(chosen) + len(members) <= room and not labels & used:
                chosen += members.tolist()
                used |= labels
        spare = [
            item for item, label in zip(rest.tolist(), self._labels(rest), strict=True) if label not in used
        ]
        spare.sort(
            key=lambda item: not self.alone[item]
        )  # whole groups are here already: items alone come first
        return torch.tensor(chosen + spare[: len(rest) - len(chosen)])  # (B,)

    def _labels(self, items: Tensor) -> list[int]:
        return items.tolist() if self.labels is None else self.labels[items].tolist()


def collate(
    dataset: MotionDataset,
    items: Tensor,
    seed: int,
    step: int,
    representation: str = "kinematic",
    rows: slice = slice(None),
) -> Batch:
    """Read and pad items, each with one of its captions drawn by (seed, step).

    Args:
        rows: of the items; the others are not read, and these come out as they would among them.
    """
    own = items[rows]
    longest = int(dataset.lengths[items].max())
    motion, lengths = pad([dataset.motion(int(item), representation) for item in own], longest=longest)
    return Batch(own, motion, lengths, drawn_captions(dataset, items, seed, step, rows))


def drawn_captions(
    dataset: MotionDataset, items: Tensor, seed: int, step: int, rows: slice = slice(None)
) -> list[str]:
    """One caption of each of those rows of a batch, drawn by (seed, step)."""
    pick = torch.rand(len(items), generator=generator_for(seed, "caption", step))  # (B,)
    captions = [dataset.items[item].captions for item in items[rows].tolist()]
    return [choices[int(p * len(choices))].text for choices, p in zip(captions, pick[rows], strict=True)]
