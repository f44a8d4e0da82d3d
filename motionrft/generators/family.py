"""What the published families share: settings that build a generator again, and states that are frames."""

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from motionrft.diffusion.process import Process
from motionrft.diffusion.sampler import Chain, build_process, sampler_named, samplers_for
from motionrft.errors import UserError
from motionrft.generators.base import Generator
from motionrft.generators.frames import from_motion, to_motion
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.lengths import length_mask


class Settings(Protocol):
    """What the settings of every family name; a frozen dataclass of JSON values."""

    @property
    def fps(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def guidance(self) -> float: ...
    @property
    def min_frames(self) -> int: ...
    @property
    def max_frames(self) -> int: ...


S = TypeVar("S", bound=Settings)


class Family(Generator, Generic[S]):
    """A generator built from its settings alone, which are saved beside its weights."""

    settings: ClassVar[type[Any]]
    """The dataclass of its settings."""
    sampler_options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """What the family publishes of a sampler, by the sampler's name: keyword arguments of its table."""

    def __init__(self, config: S):
        super().__init__()
        self.config = config
        self.fps, self.text_encoder_name, self.guidance = config.fps, config.text, config.guidance
        self.min_frames, self.max_frames = config.min_frames, config.max_frames

    def sampling(
        self,
        sampler: str | None = None,
        eta: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        shift: float | None = None,
    ) -> SamplingSettings:
        found = super().sampling(sampler, eta, steps, guidance, shift)
        if found.shift != 1 and self.parametrisation != "flow":
            raise UserError(f"shift is {found.shift:g}, but {self.family} is no flow: leave shift out.")
        chosen = sampler_named(found.sampler or "")
        if found.eta and not chosen.takes_eta:
            takers = [name for name, each in samplers_for(chosen.suits).items() if each.takes_eta]
            raise UserError(
                f"{found.sampler} takes no noise of that kind, but eta is {found.eta:g}. "
                f"Set sampler to {' or '.join(takers)}, or eta to 0."
            )
        return found

    def process(
        self, steps: int | None = None, sampler: str | None = None, eta: float | None = None
    ) -> Process:
        return self.process_with(self.sampling(sampler, eta, steps))

    def process_with(self, sampling: SamplingSettings) -> Process:
        name = sampling.sampler or next(iter(self.samplers))
        chain = Chain(
            self.schedule,
            self.parametrisation,
            sampling.steps or self.samplers[name] or 0,
            sampling.eta,
            sampling.shift,
            self.sampler_options.get(name, {}),
        )
        return build_process(name, chain).to(self.device)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(cls.settings(**config))

    def to_config(self) -> dict[str, Any]:
        return asdict(self.config)  # type: ignore[call-overload]

    def register_statistics(self, features: int, prefix: str = "") -> None:
        """Buffers `mean` and `std`, (features,), that change nothing until real ones are loaded."""
        self.register_buffer(f"{prefix}mean", torch.zeros(features))
        self.register_buffer(f"{prefix}std", torch.ones(features))


class FrameFamily(Family[S]):
    """A state is a motion's normalised frames (B, T, F)."""

    features: int

    def noise_shape(self, lengths: Tensor) -> tuple[int, ...]:
        return (lengths.shape[0], int(lengths.max()), self.features)  # (B, T, F)

    def state_mask(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        return length_mask(lengths, x.shape[1])[..., None]  # (B, T, 1)

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        return to_motion(x, self.mean, self.std, lengths, frames)

    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        return from_motion(motion, self.mean, self.std, lengths)
