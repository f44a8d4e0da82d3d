"""What Kimodo is asked for beside text: a heading and fixed features, as a person says them and as pre-training draws
them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.constraints import Constraints
from motionrft.generators.frames import from_motion, to_motion
from motionrft.generators.kimodo_statistics import KimodoStatistics
from motionrft.generators.wishes import NOTHING, ByPrompt
from motionrft.lengths import length_mask
from motionrft.moving import moved
from motionrft.representations.kimodo.constraints import (
    HEADING,
    PATH,
    Wishes,
    chains_of,
    positions_of,
    read_wishes,
    rotation_of,
)
from motionrft.representations.kimodo.features import KimodoFeatures, turn
from motionrft.representations.kimodo.skeletons import KimodoSkeleton


class Normalised(Protocol):
    """What is asked of the generator: its skeleton, and how its features are normalised."""

    features: int
    mean: Tensor
    skeleton: KimodoSkeleton

    @property
    def device(self) -> torch.device: ...
    @property
    def statistics(self) -> KimodoStatistics: ...
    @property
    def known_rest(self) -> Tensor: ...


_FREE = 0.5
"""Share of training motions of which nothing is wished for."""
_MOST = 5
"""Frames at most of which a training motion has something wished for."""


@dataclass(frozen=True)
class Asking:
    """What motions are asked for. wishes: of all of them, a list as `constraints.json` holds, or of each prompt; heading:
    radians; origin: for messages.
    """

    wishes: Any = None
    heading: float | None = None
    origin: str = "constraints"

    def places(self, texts: Sequence[str]) -> Tensor | None:
        """(B,) which wishes each prompt has of its own; None where all have the same."""
        if not isinstance(self.wishes, ByPrompt):
            return None
        return torch.tensor([self.wishes.place(text) for text in texts])

    def of(self, place: int) -> tuple[Any, str]:
        """The wishes at a place, None for nothing, and where they stand."""
        if not isinstance(self.wishes, ByPrompt):
            return self.wishes, self.origin
        return (
            (None, self.origin)
            if place == NOTHING
            else (self.wishes.lists[place], self.wishes.origins[place])
        )


def asked_for(
    generator: Normalised, lengths: Tensor, asking: Asking, places: Tensor | None = None
) -> Constraints:
    """What B motions of (B,) frames are asked for, on the generator's device; the heading is 0 where nothing says it.

    Args:
        places: (B,) as `Asking.places`.

    Raises:
        UserError: a wish is wrong, or beyond a motion's end.
    """
    device, frames = generator.device, int(lengths.max())
    if asking.wishes is None:
        return Constraints(torch.full((len(lengths),), asking.heading or 0.0, device=device))
    rows = list(zip([0] * len(lengths) if places is None else places.tolist(), lengths.tolist(), strict=True))
    read = {row: _read(generator, asking, *row) for row in set(rows)}
    observed = torch.zeros(len(lengths), frames, generator.features)
    mask, heading = torch.zeros_like(observed), torch.full((len(lengths),), asking.heading or 0.0)
    for number, row in enumerate(rows):
        found = read[row]
        if found is None:
            continue
        observed[number, : row[1]], mask[number, : row[1]] = found.observed, found.mask.to(mask)
        if asking.heading is None:
            heading[number] = found.first_heading or 0.0
    mask = mask.to(device)
    return Constraints(heading.to(device), generator.statistics.normalise(observed.to(device)) * mask, mask)


def _read(generator: Normalised, asking: Asking, place: int, frames: int) -> Wishes | None:
    wishes, origin = asking.of(place)
    if wishes is None:
        return None
    return read_wishes(wishes, frames, generator.skeleton, generator.known_rest.cpu(), origin=origin)


def checked(generator: Normalised, texts: Sequence[str], lengths: Tensor, asking: Asking) -> str:
    """As `TextToMotion.check_asked`: every list of wishes that some prompt has, at its shortest length.

    Raises:
        UserError: one does not fit, or no prompt has any.
    """
    if asking.wishes is None:
        return ""
    places = asking.places(texts)
    if places is None:
        _read(generator, asking, 0, int(lengths.min()))
        return ""
    known = sorted(set(places.tolist()) - {NOTHING})
    if not known:
        raise UserError(
            f"{asking.origin}: none of its prompts is one of these; the first of them is {texts[0]!r}."
        )
    for place in known:
        _read(generator, asking, place, int(lengths[places == place].min()))
    unused = len(asking.wishes.lists) - len(known)
    beside = f"; {unused} of its prompts are not among these" if unused else ""
    return (
        f"{asking.origin}: constraints for {int((places != NOTHING).sum())} of {len(texts)} prompts{beside}."
    )


def shown_in_training(
    generator: Normalised, x0: Tensor, lengths: Tensor, draws: torch.Generator, rows: slice
) -> tuple[Tensor, Constraints]:
    """Clean states (b, T, D) turned to headings drawn evenly, and what is told of them; see `_wished`.

    Args:
        lengths: (B,) frames of a whole batch, of which these are the rows `rows`; drawn is for all of it.
    """
    scale = generator.statistics.whole.scale
    angles = 2 * math.pi * torch.rand(len(lengths), generator=draws)[rows]  # (b,)
    own = lengths[rows]
    features = turn(to_motion(x0, generator.mean, scale, own, x0.shape[1]), moved(angles, x0.device).to(x0))
    turned = from_motion(features, generator.mean, scale, own)
    heading = KimodoFeatures(features).heading_angle[:, 0]
    mask = _wished(generator.skeleton, x0, lengths, draws, rows)
    return turned, Constraints(heading, turned * mask, mask)


def _wished(
    skeleton: KimodoSkeleton, x0: Tensor, lengths: Tensor, draws: torch.Generator, rows: slice
) -> Tensor:
    """(b, T, D) 1 where something of clean states is wished for: of each motion nothing, or a path, key poses, or an end
    of the body in a few of its frames. Drawn on the host, laid out on the device, which is asked nothing.
    """
    batch, lengths = len(lengths), lengths[rows]
    free, kind, count, end = torch.rand(4, batch, generator=draws)[:, rows]  # (b,) each
    order = moved(torch.rand(batch, x0.shape[1], generator=draws)[rows], x0.device)  # (b, T)
    counts = torch.where(free < _FREE, 0, 1 + (count * _MOST).long())
    order = order.masked_fill(~length_mask(lengths, x0.shape[1]), math.inf)
    first = order.argsort(dim=1).argsort(dim=1) < moved(counts, x0.device)[:, None]
    frames = first & order.isfinite()  # (B, T)
    choices = _choices(skeleton, x0.shape[-1])  # (N, D)
    ends = 2 + (end * (len(choices) - 2)).long()
    row = torch.where(kind < 2 / 3, (kind >= 1 / 3).long(), ends)
    return frames[..., None] * moved(choices[row], x0.device)[:, None].to(x0)


def _choices(skeleton: KimodoSkeleton, width: int) -> Tensor:
    """(N, D) 1 where features are fixed by a wish: a path, a key pose, each end of the body."""
    posed = [*PATH, 1, *HEADING]
    places = [[*PATH], [*posed, *positions_of(range(skeleton.joints))]]
    for names in chains_of(skeleton).values():
        chain = [skeleton.names.index(joint) for joint in names]
        places.append([*posed, *positions_of(chain), *rotation_of(chain[0], skeleton)])
    choices = torch.zeros(len(places), width)
    for row, fixed in zip(choices, places, strict=True):
        row[fixed] = 1
    return choices
