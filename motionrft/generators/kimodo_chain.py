"""Several prompts as one motion, as Kimodo makes them: each takes over where the one before ends.

The last frames of a piece are asked of the next one as key poses at its start, moved to the origin, with the direction
that they face; where both have them, one is faded into the other. (NVIDIA 2026, arXiv 2603.15546.) Lengths are ours: each
piece adds as many frames as were asked for it, and what it shares with the piece before comes on top while it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.base import Condition
from motionrft.generators.constraints import Constraints
from motionrft.generators.text_to_motion import Sampled, Whole
from motionrft.representations.kimodo.constraints import HEADING, PATH, positions_of
from motionrft.representations.kimodo.features import KimodoFeatures, forward_kinematics, on_ground

SHARED = 5
"""Frames that a piece has in common with the one before."""


class Chainable(Protocol):
    """What a chain needs of `motionrft.generators.kimodo.Kimodo`, whose docstrings say more."""

    @property
    def asking(self) -> Any: ...
    @property
    def statistics(self) -> Any: ...
    @property
    def skeleton(self) -> Any: ...
    @property
    def features(self) -> int: ...
    @property
    def max_frames(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def known_rest(self) -> Tensor: ...  # (J, 3)

    def encode_text(self, texts: Sequence[str]) -> Condition: ...
    def drawn_state(
        self,
        prompts: Condition,
        lengths: Tensor,
        seeds: Sequence[int],
        sampling: Any,
        precision: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]: ...
    def denormalised(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor: ...
    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor: ...
    def whole(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Whole | None: ...


def chained(
    generator: Chainable,
    texts: Sequence[str],
    frames: Sequence[int],
    seeds: Sequence[int],
    sampling: Any,
    precision: torch.dtype | None = None,
) -> Sampled:
    """One motion (1, T, D) of these texts, T the sum of their frames.

    Args:
        frames, seeds: of each text. sampling, precision: as `Generator.draw`.

    Raises:
        UserError: constraints are asked for as well, or a piece is too long with what it shares.
    """
    if generator.asking.wishes is not None:
        raise UserError("a chain has its own constraints, where pieces meet: leave --constraints out.")
    longest = generator.max_frames - (SHARED if len(texts) > 1 else 0)
    if too_long := [count for count in frames if count > longest]:
        raise UserError(f"a piece of {too_long[0]} frames: in a chain a piece has at most {longest}.")
    whole: Tensor | None = None
    for text, count, seed in zip(texts, frames, seeds, strict=True):
        condition = generator.encode_text([text]).to(generator.device)
        length = torch.tensor([count if whole is None else count + SHARED])
        if whole is None:
            whole = _drawn(generator, condition, length, seed, sampling, precision)
            continue
        end, start = whole[-SHARED:], KimodoFeatures(whole[-SHARED:]).path[0]
        asked = _taken_over(generator, _moved(end, -start), int(length))
        condition = Condition(condition.text, condition.null, asked)
        piece = _moved(_drawn(generator, condition, length, seed, sampling, precision), start)
        faded = torch.arange(1, SHARED + 1, device=piece.device)[:, None] / (SHARED + 1)
        whole = torch.cat((whole[:-SHARED], end + faded * (piece[:SHARED] - end), piece[SHARED:]))
    assert whole is not None, "there is a text"
    lengths = torch.tensor([len(whole)])
    state = generator.statistics.normalise(whole)[None]
    motion = generator.decode(state, lengths.to(generator.device), len(whole))
    usable = torch.ones(1, dtype=torch.bool)
    return Sampled(
        motion, lengths, usable, whole=generator.whole(state, lengths.to(generator.device), len(whole))
    )


def _drawn(
    generator: Chainable,
    condition: Condition,
    length: Tensor,
    seed: int,
    sampling: Any,
    precision: torch.dtype | None,
) -> Tensor:
    """De-normalised features (T, D) of one motion."""
    state, chosen = generator.drawn_state(condition, length, [seed], sampling, precision)
    return generator.denormalised(state, chosen, int(length))[0]


def _moved(values: Tensor, by: Tensor) -> Tensor:
    """Features (T, D) whose path is moved on the ground by (3,); positions are relative to it."""
    return torch.cat((values[:, :3] + on_ground(by), values[:, 3:]), dim=-1)


def _taken_over(generator: Chainable, end: Tensor, frames: int) -> Constraints:
    """Features (SHARED, D) as key poses at the start of a motion of so many frames: what `fullbody` wishes for."""
    features, rest = KimodoFeatures(end), generator.known_rest.to(end)
    posed = forward_kinematics(features.rotations, features.root, generator.skeleton, rest)
    positions = (posed - features.path[:, None]).flatten(1)
    observed = torch.zeros(frames, generator.features, device=end.device)
    mask = torch.zeros_like(observed)
    joints = positions_of(range(generator.skeleton.joints))
    observed[:SHARED] = end
    observed[:SHARED, joints] = positions
    observed[:SHARED, 1] = posed[:, 0, 1]
    mask[:SHARED, [*PATH, 1, *HEADING, *joints]] = 1
    heading = features.heading_angle[:1]
    return Constraints(heading, (generator.statistics.normalise(observed) * mask)[None], mask[None])
