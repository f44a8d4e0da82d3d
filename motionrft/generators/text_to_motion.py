"""What every text-to-motion generator is, diffusion or language model of motion tokens.

Sampling, evaluation, scoring and reports know only what is in this file. Below it are two kinds: diffusion
(`motionrft.generators.base.Generator`), and motion tokens (`motionrft.generators.token_generator.TokenGenerator`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.generators.kinds import DIFFUSION_FIELDS, KIND_WORDS, TOKEN_FIELDS, Kind
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.representations.statistics import Statistics
from motionrft.text.base import TextEncoder


class Prompts(Protocol):
    """What the texts of a batch say to a generator, computed once per prompt."""

    @property
    def device(self) -> torch.device: ...
    def __len__(self) -> int: ...
    def index(self, items: Tensor) -> Self:
        """The chosen prompts, in the given order; `items` is (N,) int64, on `device`."""

    def to(self, device: torch.device | str) -> Self: ...


class Sampling(Protocol):
    """What motions are sampled with: a frozen dataclass of JSON values, which travels with a model and its results."""

    @property
    def fps(self) -> float: ...
    @property
    def title(self) -> str:
        """In words."""

    def plain(self) -> dict[str, Any]:
        """JSON values by name."""


class Whole(NamedTuple):
    """Motions (B, T, D) in a representation that tells more of them.

    rest: (J, 3) rest joints of a skeleton that the model alone knows.
    """

    values: Tensor
    representation: str
    rest: Tensor | None = None


@dataclass(frozen=True)
class Sampled:
    """Motions of a batch.

    motion: (B, T, D) in the generator's representation, de-normalised, zero beyond each length.
    lengths: (B,) int64 frames: those asked for, unless the generator was to end by itself.
    usable: (B,) bool, False where what was written is no motion and a mean pose stands in its place.
    tokens: what a language model wrote; None of a diffusion.
    whole: the motions in a representation that tells more of them; None where `motion` tells all.
    """

    motion: Tensor
    lengths: Tensor
    usable: Tensor
    tokens: MotionTokens | None = None
    whole: Whole | None = None

    def clips(self) -> list[Tensor]:
        """(T, D) of each item, as long as itself."""
        return [row[:frames] for row, frames in zip(self.motion, self.lengths.tolist(), strict=True)]


class TextToMotion(nn.Module, ABC):
    """A text-to-motion generator of either kind."""

    kind: ClassVar[Kind]
    sampling_fields: ClassVar[tuple[str, ...]]
    """What `sampling` can be told, by name."""
    tuned_part: ClassVar[str]
    """Attribute of the trainable network, which may be replaced by its adapted self: never the text encoder, never an
    autoencoder.
    """
    family: str
    """The registry's name of the family: `mld`, `mdm`, …"""
    representation: str
    """What `draw` returns: `kinematic`, `joints` or `rotation`."""
    fps: float
    """Frames per second of the motions."""
    tuned_with: Any = None
    """What the weights were tuned with (`Sampling`), where they were: that is then used wherever nobody names another."""
    min_frames: int
    max_frames: int
    sees_padding: bool = False
    """Whether an item's result depends on how far the batch is padded; such items are sampled at their own length."""

    mean: Tensor
    std: Tensor
    """Statistics of the motion features the model was trained on, buffers of the module."""
    text_encoder_name: str
    """The frozen text encoder, as `motionrft.text.load_text_encoder` names it."""
    _text_encoder: TextEncoder | None = None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextToMotion":
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

    def use_text_encoder(self, encoder: TextEncoder) -> None:
        """Read texts through this encoder instead of the named one: a cached, a local or a test one."""
        self._text_encoder = encoder

    def remember(self, texts: Sequence[str]) -> None:
        """Encode these texts ahead, into the cache on disk; nothing for a family that reads text its own way."""
        if self._text_encoder is not None or hasattr(self, "text_encoder_name"):
            self.text_encoder.remember(texts)

    def frames(self, seconds: Tensor) -> Tensor:
        """(N,) int64 frames of motions of (N,) `seconds`, within what the generator can make."""
        frames = (seconds.double() * self.fps).round().long()
        return frames.clamp(self.min_frames, self.max_frames)

    @property
    def tuned(self) -> nn.Module:
        """The trainable network, or its adapted self."""
        part: nn.Module = getattr(self, self.tuned_part)
        return part

    def use_tuned(self, network: nn.Module) -> None:
        """Put an adapted network, or a copy of it, in the place of the trainable one."""
        setattr(self, self.tuned_part, network)

    @property
    def trained(self) -> nn.Module:
        """What supervised training changes: the tuned part, and a family's own layers above the text encoder."""
        return self.tuned

    @property
    def trained_on(self) -> str:
        """Representation of the motions that the generator encodes and whose statistics are `mean` and `std`."""
        return self.representation

    @property
    def size(self) -> float:
        """How much larger people are than the bodies that it moves; 1 where those are people."""
        return 1.0

    @property
    def feature_rest(self) -> Tensor | None:
        """(J, 3) rest joints that conversions of the family's own features need; None where those know them."""
        return None

    @property
    @abstractmethod
    def lora_targets(self) -> list[str]:
        """Names, inside the tuned part, of the linear layers suited to low-rank adapters (peft `target_modules`)."""

    @property
    def lora_parameters(self) -> list[str]:
        """Names of parameters that hold queries, keys and values in one (peft `target_parameters`), where they do."""
        return []

    @abstractmethod
    def sampling(self, *args: Any, **asked: Any) -> Any:
        """What motions are sampled with (`Sampling`).

        Args:
            asked: some of `sampling_fields`; None stands for what it was tuned with, else for the family's choice.

        Raises:
            UserError: the family cannot be sampled so.
        """

    @classmethod
    @abstractmethod
    def read_sampling(cls, values: dict[str, Any], origin: str) -> Any:
        """The settings whose `plain()` these values are; raises `UserError` for others."""

    def learn_statistics(self, statistics: Statistics, clips: Iterable[Tensor]) -> None:
        """Take over what motions are normalised with.

        Args:
            clips: (T, D) each, the training motions that the statistics are of.
        """
        self.mean.copy_(statistics.mean)
        self.std.copy_(statistics.std)

    @property
    def licence(self) -> str:
        """What the licence of the weights allows, in a sentence; nothing where the family does not know."""
        return ""

    @property
    def warning(self) -> str:
        """What everybody who tunes these weights has to know, in a sentence; mostly nothing."""
        return ""

    def ask(self, wishes: Any = None, heading: float | None = None, origin: str = "constraints") -> None:
        """Ask all motions from now on for something beside their texts; None asks nothing.

        Args:
            wishes: as the family reads them, or `ByPrompt`. heading: radians that the first frame faces, 0 is +Z.
            origin: for messages.

        Raises:
            UserError: the family takes none of it.
        """
        if wishes is not None or heading is not None:
            raise UserError(
                f"the family {self.family} takes neither constraints nor a heading: leave them out."
            )

    def check_asked(self, texts: Sequence[str], lengths: Tensor) -> str:
        """Whether what is asked for fits these prompts and their (N,) frames; raises `UserError` where not.

        Returns:
            Which prompts are asked for something of their own, in a sentence; "" where all are asked alike.
        """
        return ""

    def draw_chain(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Any,
        precision: torch.dtype | None = None,
    ) -> Sampled:
        """One motion (1, T, D) of several texts after each other; the rest as `draw`.

        Args:
            frames, seeds: of each text.

        Raises:
            UserError: the family makes none, or not of these lengths.
        """
        raise UserError(f"the family {self.family} makes no motion of several prompts: leave chain out.")

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> Any:
        """What B prompts say (`Prompts`), through the cache."""

    @abstractmethod
    def draw(
        self,
        prompts: Any,
        lengths: Tensor,
        seeds: Sequence[int],
        sampling: Any,
        precision: torch.dtype | None = None,
    ) -> Sampled:
        """Motions of one batch, without gradient. An item's result depends on its own prompt, length and seed alone.

        Args:
            prompts: B of them, on the generator's device. lengths: (B,) frames wanted, on the CPU. seeds: B numbers.
            sampling: of this generator. precision: bfloat16 or float16 for the network's arithmetic.
        """


@dataclass(frozen=True)
class Asked:
    """What a person asks of the sampling of either kind; None asks nothing."""

    sampler: str | None = None
    eta: float | None = None
    steps: int | None = None
    guidance: float | None = None
    shift: float | None = None
    temperature: float | None = None
    top_k: int | None = None
    masked: bool | None = None
    ending: str | None = None


def asked_of(generator: TextToMotion, preset: object, beside: Sequence[TextToMotion] = ()) -> Any:
    """`generator.sampling` with whatever of its fields a preset sets.

    Args:
        beside: other generators under the same preset, whose fields are not to be refused.

    Raises:
        UserError: the preset sets what fits none of them; or as `sampling`.
    """
    fitting = {field for each in (generator, *beside) for field in each.sampling_fields}
    fields = (*DIFFUSION_FIELDS, *TOKEN_FIELDS)
    given = {name: value for name in fields if (value := getattr(preset, name, None)) is not None}
    if foreign := [name for name in given if name not in fitting]:
        raise UserError(
            f"{foreign[0]} is not for {generator.family}, one of the {KIND_WORDS[generator.kind]}: leave "
            f"{foreign[0]} out; it knows {', '.join(generator.sampling_fields)}."
        )
    return generator.sampling(**{name: given[name] for name in given if name in generator.sampling_fields})
