"""A reward is a callable `(motion, lengths, condition, t) -> (B,)`: higher is better."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.text.base import TextFeatures


@dataclass(frozen=True)
class RewardCondition:
    """All that a reward needs to know of a batch of prompts, computed once per prompt.

    text: (B, L) unit text embeddings of clean motions, or None.
    reference: (B, L) unit embeddings of reference motions (the frozen generator's own output), or None.
    features: what `text` was made of, for a reward that reads a text anew at each noise level; or None.
    captions: the B texts themselves, for a reward that reads words; or empty.
    contrast: (B, L) `text` minus the mean of what the texts did not say, for a reward that is asked for it; or None.
    """

    text: Tensor | None = None
    reference: Tensor | None = None
    features: TextFeatures | None = None
    captions: tuple[str, ...] = ()
    contrast: Tensor | None = None

    def index(self, items: Tensor) -> "RewardCondition":
        return RewardCondition(
            None if self.text is None else self.text[items],
            None if self.reference is None else self.reference[items],
            None if self.features is None else self.features.index(items),
            tuple(self.captions[item] for item in items.tolist()) if self.captions else (),
            None if self.contrast is None else self.contrast[items],
        )

    def to(self, device: torch.device | str) -> "RewardCondition":
        return RewardCondition(
            None if self.text is None else self.text.to(device),
            None if self.reference is None else self.reference.to(device),
            None if self.features is None else self.features.to(device),
            self.captions,
            None if self.contrast is None else self.contrast.to(device),
        )


class Reward(nn.Module, ABC):
    """Judges motions. Frozen while a generator is tuned; gradients reach the motion where
    `differentiable`."""

    representation: str
    """The representation `forward` expects, de-normalised: `kinematic`, `joints` or `rotation`."""
    differentiable: bool = True
    ranges: Mapping[str, tuple[float, float]] = MappingProxyType({})
    """Lowest and highest value of each term that has them: (-1, 1) for a cosine, (0, 1) for TMR's score. Who needs
    another scale maps from this one.
    """

    @property
    def width(self) -> int:
        """L of its embeddings; 0 for a reward that compares with nothing."""
        return 0

    @property
    def kinematic_width(self) -> int | None:
        """Values a frame of the kinematic motions it was trained on, which tell the skeleton; None: no such motions."""
        return None

    @property
    def term_weights(self) -> dict[str, float]:
        """Weight of each term of the total."""
        return dict(vars(self).get("weights", {}))

    @property
    def learnt_noise(self) -> bool:
        """Whether it can judge a noisy motion at its own level (perception); False unless trained for it."""
        return False

    def remember(self, texts: Sequence[str]) -> None:
        """Encode these texts ahead, into the cache on disk; nothing for a reward that does not read."""
        return None

    def settle(self) -> None:
        """Compute, as buffers, what depends on frozen weights alone; call it once before a training loop."""

    @abstractmethod
    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        """Embed B texts and, where given, B reference motions (B, T, D) of given lengths; without
        gradient."""

    @abstractmethod
    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Judge motions.

        Args:
            motion: (B, T, D), de-normalised, in `representation`.
            lengths: (B,) valid frames.
            t: noise level of the motion as a training timestep, () or (B,); 0 means clean.

        Returns:
            reward (B,), the weighted total; and the raw terms by name, each (B,).
        """


class Learnt(Reward):
    """A reward with weights and terms of its own: what can be loaded, weighed and told what it will see."""

    family: ClassVar[str]
    """Which kind of reward it is: `family` in its folder's `config.json`, by which the folder is read back."""
    weights: dict[str, float]
    """Weight of each term that is computed."""
    asked: ClassVar[tuple[str, ...]] = ()
    """Further terms, given where they are asked for by a weight alone: they say nothing of most texts."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What is needed, beside tensors and weights, to build it again: JSON values for `config.json`."""

    @property
    @abstractmethod
    def terms(self) -> tuple[str, ...]:
        """Every term this reward can give."""

    @property
    def max_frames(self) -> int | None:
        """The longest motion it reads; None: there is no limit."""
        return None

    @abstractmethod
    def expect(self, representation: str) -> None:
        """Expect motions in this representation from now on; raises `UserError` where it cannot."""

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Set the terms and their weights; zeros are left out.

        Raises:
            UserError: a term that this reward does not have.
        """
        self.weights = {name: weight for name, weight in weights.items() if weight}
        unknown = [name for name in self.weights if name not in (*self.terms, *self.asked)]
        if unknown:
            raise UserError(
                f"this reward has no term {unknown[0]!r}; it has {', '.join((*self.terms, *self.asked))}"
            )


@dataclass(frozen=True)
class RewardFamily:
    """Rewards that lie in folders: `read` gives the one of a folder whose `config.json` names this family."""

    read: Callable[[Path], Learnt]
