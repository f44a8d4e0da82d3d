"""The joint tree of a motion file: who hangs on whom, and how far from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SAME_PLACE = 1e-3
"""Joints nearer than this part of the whole skeleton's reach stand in one place: `LowerBack` at `Hips`, twist bones."""


@dataclass(frozen=True)
class SkeletonTree:
    """names: J joints, End Sites among them. parents: -1 for the root, before its children. offsets: (J, 3)."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        below: list[list[int]] = [[] for _ in self.names]
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                below[parent].append(joint)
        return tuple(map(tuple, below))

    @cached_property
    def lengths(self) -> np.ndarray:
        """(J,) length of the bone from the parent; 0 for the root."""
        lengths = np.linalg.norm(self.offsets, axis=-1)
        lengths[0] = 0.0
        return lengths

    @cached_property
    def rest_places(self) -> np.ndarray:
        """(J, 3) where the joints stand with no rotation at all, the root at the origin."""
        places = np.array(self.offsets, dtype=float)
        places[0] = 0.0
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] += places[parent]
        return places

    @cached_property
    def reach(self) -> float:
        """From the root to the farthest joint along the bones."""
        far = np.zeros(len(self.names))
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                far[joint] = far[parent] + self.lengths[joint]
        return float(far.max(initial=0.0))

    def to_root(self, joint: int) -> list[int]:
        """The joint and its ancestors, root last."""
        path = [joint]
        while self.parents[path[-1]] >= 0:
            path.append(self.parents[path[-1]])
        return path

    def between(self, ancestor: int, joint: int) -> list[int]:
        """The joints from below `ancestor` down to `joint` itself; empty where it is no descendant."""
        path = self.to_root(joint)
        return path[: path.index(ancestor)][::-1] if ancestor in path else []

    def common(self, joints: Sequence[int]) -> int:
        """The nearest common ancestor."""
        paths = [self.to_root(joint)[::-1] for joint in joints]
        shared = 0
        for level in zip(*paths, strict=False):
            if len(set(level)) > 1:
                break
            shared = level[0]
        return shared

    def leaves(self) -> Iterator[int]:
        return (joint for joint, below in enumerate(self.children) if not below)

    def apart(self, joint: int) -> bool:
        """Whether a joint stands somewhere else than its parent."""
        return bool(self.lengths[joint] > SAME_PLACE * self.reach)

    def nearest_below(self, joint: int) -> int | None:
        """The first joint or End Site below that stands elsewhere; the one with the longest bone among several."""
        level = list(self.children[joint])
        while level:
            apart = [each for each in level if self.apart(each)]
            if apart:
                return max(apart, key=lambda each: self.lengths[each])
            level = [below for each in level for below in self.children[each]]
        return None
