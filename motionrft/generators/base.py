"""The interface between a diffusion generator and everything that samples, tunes or judges it.

Five verbs: encode the text, predict, (let the process) step, decode to motion, encode from motion. What is not
particular to diffusion is in `motionrft.generators.text_to_motion`.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.process import Process
from motionrft.diffusion.rollout import Start
from motionrft.diffusion.rollout import sample as walk_process
from motionrft.diffusion.sampler import sampler_named
from motionrft.diffusion.schedule import Schedule, StraightPath
from motionrft.errors import UserError
from motionrft.generators.constraints import Constraints
from motionrft.generators.kinds import DIFFUSION_FIELDS, KIND_WORDS, Kind
from motionrft.generators.noise import ItemNoise
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.generators.text_to_motion import Sampled, TextToMotion, Whole
from motionrft.moving import moved
from motionrft.registry import SAMPLERS
from motionrft.text.base import TextFeatures


@dataclass(frozen=True)
class Condition:
    """What the text says to a generator, computed once per prompt.

    text: features of B prompts.
    null: features of the null prompt, (1, ...) and shared by the batch, or None for a generator without
    guidance passes.
    constraints: what else the B motions are asked for, or None.
    wished: (B,) int64, which list of `ByPrompt` each of the prompts has, or None where none has its own.
    """

    text: TextFeatures
    null: TextFeatures | None = None
    constraints: Constraints | None = None
    wished: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return self.text.tokens.device

    def __len__(self) -> int:
        return len(self.text)

    def index(self, items: Tensor) -> "Condition":
        asked = None if self.constraints is None else self.constraints.index(items)
        wished = None if self.wished is None else self.wished[items]
        return Condition(self.text.index(items), self.null, asked, wished)

    def to(self, device: torch.device | str) -> "Condition":
        moved_too = (self.null, self.constraints, self.wished)
        parts = (None if part is None else part.to(device) for part in moved_too)
        return Condition(self.text.to(device), *parts)  # type: ignore[arg-type]


class Generator(TextToMotion):
    """A diffusion generator. Concrete families are final; sizes and variants enter by configuration."""

    kind: ClassVar[Kind] = "diffusion"
    sampling_fields: ClassVar[tuple[str, ...]] = DIFFUSION_FIELDS
    tuned_part: ClassVar[str] = "denoiser"
    parametrisation: Parametrisation
    """What the network predicts."""
    guidance: float
    """The published guidance scale, used where nobody names another. 1 means no guidance pass."""
    samplers: Mapping[str, int | None] = MappingProxyType({})
    """The family's samplers with their published numbers of steps (None: it chooses them itself), the published sampler
    first. Empty where a family has but one and does not name it.
    """
    tuned_with: SamplingSettings | None = None
    schedule: Schedule | StraightPath
    """Signal and noise at each training time: what supervised and preference losses need."""
    denoiser: nn.Module
    """The trainable network: never the text encoder, never an autoencoder. May be replaced by its adapted
    self.
    """

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

    @classmethod
    def read_sampling(cls, values: dict[str, Any], origin: str) -> SamplingSettings:
        return SamplingSettings.of(values, origin)

    @torch.no_grad()
    def draw(
        self,
        prompts: Condition,
        lengths: Tensor,
        seeds: Sequence[int],
        sampling: SamplingSettings,
        precision: torch.dtype | None = None,
    ) -> Sampled:
        state, chosen = self.drawn_state(prompts, lengths, seeds, sampling, precision)
        frames = int(lengths.max())
        motion, usable = self.decode(state, chosen, frames), torch.ones(len(lengths), dtype=torch.bool)
        return Sampled(motion, lengths, usable, whole=self.whole(state, chosen, frames))

    @torch.no_grad()
    def drawn_state(
        self,
        prompts: Condition,
        lengths: Tensor,
        seeds: Sequence[int],
        sampling: SamplingSettings,
        precision: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What `draw` decodes: clean states (B, ...), and the lengths on the device."""
        device = self.device
        noise = ItemNoise(self, lengths, seeds, device)
        chosen = moved(lengths, device)
        start = Start(noise.draw(), self.told(prompts, lengths), chosen, draw=noise.draw)
        with torch.autocast(device.type, precision, enabled=precision is not None):
            return self._walker(sampling)(start).float(), chosen

    def _walker(self, sampling: SamplingSettings) -> Callable[[Start], Tensor]:
        """From a start to the clean state (B, ...): by a process, or as a sampler without one solves it."""
        guidance, name = sampling.guidance, sampling.sampler
        solve = sampler_named(name).solve if name is not None and name in SAMPLERS else None
        if solve is not None:
            return lambda start: solve(
                lambda t, x: self.predict(x, t, start.condition, start.lengths, guidance),  # type: ignore[arg-type]
                start.noise,
            )
        process = self.process_with(sampling)
        return lambda start: walk_process(self, process, start, guidance)

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

    def told(self, condition: Condition, lengths: Tensor) -> Condition:
        """The condition of B motions, (B,) frames long, with what `ask` asked for; a trajectory starts from it.

        Raises:
            UserError: what was asked for does not fit motions of these lengths.
        """
        return condition

    def passes(self, guidance: float) -> int:
        """Network passes of one denoising step at that guidance."""
        return 1 if guidance == 1 else 2

    def augmented(
        self,
        x0: Tensor,
        lengths: Tensor,
        condition: Condition,
        draws: torch.Generator,
        rows: slice = slice(None),
    ) -> tuple[Tensor, Condition]:
        """Clean states and their condition as pre-training shows them, varied where the family does so.

        Args:
            x0: (b, ...), those rows of a batch of `noise_shape`, and their condition. lengths: (B,) frames, of all rows.
            draws: on the CPU, so that every device draws the same; for all rows, so that every process does.
        """
        return x0, condition

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
        """Which numbers of a state (B, ...) count, True where valid, broadcastable to it; None where all do."""
        return None

    @abstractmethod
    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor:
        """State to motion: (B, T, D) in `representation`, de-normalised, differentiable, padded frames zero.

        Args:
            frames: T, the padded number of frames; None takes the longest item's, which asks the device.
        """

    @property
    def feature_costs(self) -> tuple[str, ...]:
        """Costs of its own features (`motionrft.reward.kimodo_terms`) that a reward may weigh; none for most families."""
        return ()

    def decode_features(self) -> None:
        """Decode to the family's own features from now on, for rewards that weigh some of `feature_costs`."""
        raise UserError(f"{self.family} has no features of its own that a reward could weigh.")

    def whole(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Whole | None:
        """State to what the family makes beyond `decode`, (B, T, features) for files, or None."""
        return None

    @abstractmethod
    def encode(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """Motion (B, T, D), de-normalised, to the clean state (a latent's mean)."""


def diffusion(generator: TextToMotion, place: str, purpose: str) -> Generator:
    """The generator, if it is a diffusion.

    Args:
        place: what the person called it. purpose: what for, as in "distillation is for".

    Raises:
        UserError: it is none.
    """
    if not isinstance(generator, Generator):
        raise UserError(
            f"{place}: {generator.family} is one of the {KIND_WORDS[generator.kind]}, and {purpose} "
            f"{KIND_WORDS['diffusion']}."
        )
    return generator
