"""What a reward knows: texts and motions it was trained on, and how far others are from them.

The reward's own embedding cannot tell. Contrastive training draws every input towards something that it was shown: a
swimmer lies as near to the training clips as a walker does (cosine .93 and .94 with the built-in reward). Texts are
compared as the frozen text encoder sees them (.35 and .79), motions by their activity: how much each normalised feature
moves over the clip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.text.base import TextFeatures

KEPT = 256
"""Texts and motions kept of the training set: the farthest from each other, so that the rest lies near one."""
REACH = 0.99
"""The share of held-out clips that lie within distance 1."""
_TINY = 1e-3
FAR = 1.5
"""Half as far again from the training set as held-out clips of its own kind: the reward is guessing. With the built-in
one that is jumping, sitting, climbing, swordplay; walking, running, drinking and reaching of other actors are near."""


@dataclass(frozen=True)
class Known:
    """Training material, thinned. text: (N, E) unit. motion: (M, F). reach: what counts as distance 1, for each."""

    text: Tensor
    motion: Tensor
    text_reach: float
    motion_reach: float

    @classmethod
    def of_training(cls, train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> "Known":
        """From texts (N, E) and motions (M, F) of the training set and of clips held out from it."""
        text, motion = (_spread(values) for values in train)
        found = cls(text, motion, 1.0, 1.0)
        reach = found.text_distance(held_out[0]), found.motion_distance(held_out[1])
        # Clips that are the training clips themselves lie at 0.
        return cls(text, motion, *(float(distance.quantile(REACH).clamp(min=_TINY)) for distance in reach))

    def text_distance(self, texts: Tensor) -> Tensor:
        """(B,) of texts (B, E), by the cosine: 1 is as far as all but one in a hundred held-out texts."""
        return (1 - texts.float() @ self.text.T).amin(1) / self.text_reach

    def motion_distance(self, motions: Tensor) -> Tensor:
        """(B,) of activities (B, F), in the same measure."""
        return torch.cdist(motions.float(), self.motion).amin(1) / self.motion_reach

    def tensors(self) -> dict[str, Tensor]:
        """For the reward's weights file."""
        return {"known.text": self.text.half(), "known.motion": self.motion.half()}

    def config(self) -> dict[str, float]:
        """For the reward's `config.json`."""
        return {"text_reach": self.text_reach, "motion_reach": self.motion_reach}

    @classmethod
    def of_folder(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> "Known":
        """What `tensors` and `config` gave back."""
        return cls(tensors["known.text"].float(), tensors["known.motion"].float(), **config)


def text_place(features: TextFeatures) -> Tensor:
    """(B, E) unit vectors of texts, as the frozen encoder sees them: its sentence vector, or the mean of the tokens."""
    mean = (features.tokens * features.mask[..., None]).sum(1) / features.mask.sum(1, keepdim=True).clamp(
        min=1
    )
    return F.normalize((mean if features.pooled is None else features.pooled).float(), dim=-1).cpu()


def activity(normalised: Tensor, lengths: Tensor) -> Tensor:
    """(B, F) standard deviation over time of each normalised feature of motions (B, T, F)."""
    mask = length_mask(lengths, normalised.shape[1])[..., None]
    count = lengths[:, None].to(normalised)
    mean = (normalised * mask).sum(1) / count
    off = (normalised - mean[:, None]) * mask
    return (off.square().sum(1) / count).sqrt().float().cpu()


def _spread(values: Tensor) -> Tensor:
    """At most `KEPT` rows of (N, E), each the farthest from those before it."""
    chosen = [0]
    nearest = (values - values[0]).norm(dim=-1)
    while len(chosen) < min(KEPT, len(values)):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (values - values[chosen[-1]]).norm(dim=-1))
    return values[torch.tensor(chosen)]
