"""The interface between a text-to-motion generator and everything that samples, tunes or judges it.

Five verbs: encode the text, predict, (let the process) step, decode to motion, encode from motion. Fine-
tuning, sampling and evaluation know only what is in this file.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.process import Process
from motionrft.diffusion.sampler import sampler_named
from motionrft.diffusion.schedule import Schedule, StraightPath
from motionrft.errors import UserError
from motionrft.generators.constraints import Constraints
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.registry import SAMPLERS
from motionrft.text.base import TextEncoder, TextFeatures


@dataclass(frozen=True)
class Condition:
    """What the text says to a generator, computed once per prompt.

    text: features of B prompts.
    null: features of the null prompt, (1, ...) and shared by the batch, or None for a generator without
    guidance passes.
    constraints: what else the B motions are asked for, or None.
    """

    text: TextFeatures
    null: TextFeatures | None = None
    constraints: Constraints | None = None

    def __len__(self) -> int:
        return len(self.text)

    def index(self, items: Tensor) -> "Condition":
        asked = None if self.constraints is None else self.constraints.index(items)
        return Condition(self.text.index(items), self.null, asked)

    def to(self, device: torch.device | str) -> "Condition":
        parts = (None if part is None else part.to(device) for part in (self.null, self.constraints))
        return Condition(self.text.to(device), *parts)  # type: ignore[arg-type]


class Generator(nn.Module, ABC):
    """A text-to-motion generator. Concrete families are final; sizes and variants enter by configuration."""

    family: str
    """The registry's name of the family: `mld`, `mdm`, …"""
    representation: str
    """What `decode` returns: `kinematic`, `joints` or `rotation`."""
    fps: float
    """Frames per second of the decoded motion."""
    parametrisation: Parametrisation
    """What the network predicts."""
    guidance: float
    """The published guidance scale, used where nobody names another. 1 means no guidance pass."""
    samplers: Mapping[str, int | None] = MappingProxyType({})
    """The family's samplers with their published numbers of steps (None: it chooses them itself), the published sampler
    first. Empty where a family has but one and does not name it.
    """
    tuned_with: SamplingSettings | None = None
    """What the weights were tuned with, where they were: that is then used wherever nobody names another."""
    min_frames: int
    max_frames: int
    schedule: Schedule | StraightPath
    """Signal and noise at each training time: what supervised and preference losses need."""
    denoiser: nn.Module
    """The trainable network: never the text encoder, never an autoencoder. May be replaced by its adapted
    self.
    """
    sees_padding: bool = False
    """Whether an item's prediction depends on how far the batch is padded; such items are sampled at their
    own length.
    """

    mean: Tensor
    std: Tensor
    """Statistics of the motion features the model was trained on, buffers of the module."""
    text_encoder_name: str
    """The frozen text encoder, as `motionrft.text.load_text_encoder` names it."""
    _text_encoder: TextEncoder | None = None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Generator":
        """A generator of that configuration with fresh weights; the constructor's arguments, unless a family says else.

        Raises:
            TypeError, ValueError: an unknown or impossible setting.
        """
        return cls(**config)

    @abstractmethod
    def to_config(self) -> dict[str, Any]:
        """What `from_config` needs to build it again; JSON values only, without the family's name."""

    @property
    def motion_width(self) -> int | None:
        """Values a frame of its kinematic motions, which tell the skeleton; None in another representation."""
        return len(self.mean) if self.representation == "kinematic" else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean.device

    @property
    def text_encoder(self) -> TextEncoder:
        """The frozen text encoder, loaded when first asked for. It is no part of the module: never trained or
        saved.
        """
        if self._text_encoder is None:
            from motionrft.text import load_text_encoder

            self._text_encoder = load_text_encoder(self.text_encoder_name)
        return self._text_encoder

    def sampling(
        self,
        sampler: str | None = None,
        eta: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        shift: float | None = None,
    ) -> SamplingSettings:
        """What motions are sampled with; None stands for what it was tuned with, else for the family's published choice.

        With another sampler than that, its own published steps and eta are meant.

        Raises:
            UserError: the family has no such sampler, or it takes no eta, no shift or no number of steps.
        """
        usual = self.tuned_with or self._published
        sampler = usual.sampler if sampler is None else sampler
        if self.samplers and sampler not in self.samplers:
            known = ", ".join(self.samplers)
            raise UserError(f"no sampler {sampler!r} for the family {self.family}; there are {known}")
        own = usual if sampler == usual.sampler else self._published_with(sampler)
        if steps is not None and sampler is not None and self.samplers.get(sampler, 0) is None:
            raise UserError(f"{sampler} takes steps of its own choice: leave steps out (they are {steps}).")
        return SamplingSettings(
            sampler,
            own.eta if eta is None else eta,
            own.steps if steps is None else steps,
            usual.guidance if guidance is None else guidance,
            self.fps,
            usual.shift if shift is None else shift,
        )

    @property
    def _published(self) -> SamplingSettings:
        return self._published_with(next(iter(self.samplers), None))

    def _published_with(self, sampler: str | None) -> SamplingSettings:
        known = sampler is not None and sampler in self.samplers
        steps = self.samplers[sampler] if known else self.process(None, sampler).steps  # type: ignore[index]
        eta = sampler_named(sampler).eta if sampler is not None and sampler in SAMPLERS else 0.0
        return SamplingSettings(sampler, eta, steps, self.guidance, self.fps)

    def frames(self, seconds: Tensor) -> Tensor:
        """(N,) int64 frames of motions of (N,) `seconds`, within what the generator can make."""
        frames = (seconds.double() * self.fps).round().long()
        return frames.clamp(self.min_frames, self.max_frames)

    def use_text_encoder(self, encoder: TextEncoder) -> None:
        """Read texts through this encoder instead of the named one: a cached, a local or a test one."""
        self._text_encoder = encoder

    def remember(self, texts: Sequence[str]) -> None:
        """Encode these texts ahead, into the cache on disk; nothing for a family that reads text its own way."""
        if self._text_encoder is not None or hasattr(self, "text_encoder_name"):
            self.text_encoder.remember(texts)

    @property
    def trained(self) -> nn.Module:
        """What supervised training changes: the denoiser, and a family's own layers above the text encoder."""
        return self.denoiser

    @property
    def trained_on(self) -> str:
        """Representation of the motions that `encode` takes and whose statistics are `mean` and `std`."""
        return self.representation

    @property
    @abstractmethod
    def lora_targets(self) -> list[str]:
        """Names, inside `denoiser`, of the linear layers suited to low-rank adapters (peft `target_modules`): those of
        attention and of the layers between.
        """

    @property
    def lora_parameters(self) -> list[str]:
        """Names of parameters that hold queries, keys and values in one (peft `target_parameters`), where they do."""
        return []

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Condition:
        """Encode B prompts (through the cache) with their null condition."""

    def encode_for_training(self, texts: Sequence[str], dropped: Tensor | None = None) -> Condition:
        """Encode B prompts for supervised training at guidance 1, with gradient for layers that are trained.

        Families whose null condition is not the empty text say so here.

        Args:
            dropped: (B,) bool, True where the null condition takes the prompt's place (Ho and Salimans 2022).

        Raises:
            UserError: some are dropped and the family has no null condition.
        """
        drops = [False] * len(texts) if dropped is None else dropped.tolist()
        return self.encode_text(["" if drop else text for text, drop in zip(texts, drops, strict=True)])

    @abstractmethod
    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        """Shape of the initial noise of a batch, (B, ...). Latents may ignore, shrink or fix the lengths."""

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, condition: Condition, lengths: Tensor, guidance: float) -> Tensor:
        """The network's prediction in its own parametrisation, guidance applied.

        Args:
            x: state, `noise_shape`.
            t: () or (B,) training timestep (int64), or flow time (float).
            guidance: scale s of null + s (text - null), both halves in one batch; 1 runs the text half alone.
        """

    @abstractmethod
    def process(
        self, steps: int | None = None, sampler: str | None = None, eta: float | None = None
    ) -> Process:
        """The sampling process; None stands for what `sampling` says."""

    def process_with(self, sampling: SamplingSettings) -> Process:
        """The sampling process of these settings."""
        return self.process(sampling.steps, sampling.sampler, sampling.eta)

    def state_mask(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        """Which numbers of a state count, True where valid, broadcastable to `x`; None where all do."""
        return None

    @abstractmethod
    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        """State to motion: (B, T, D) in `representation`, de-normalised, differentiable, padded frames zero.

        Args:
            frames: T, the padded number of frames; None takes the longest item's, which asks the device.
        """

    def whole(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> tuple[Tensor, str]:
        """State to the fullest motion that the family makes, for files, and its representation; arguments as `decode`."""
        return self.decode(x, lengths, frames), self.representation

    @abstractmethod
    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """Motion (B, T, D), de-normalised, to the clean state (a latent's mean)."""
