"""A preset with every shape the real ones have: groups, a union told apart by a field, words, numbers."""

from typing import ClassVar, Literal

from pydantic import Field

from motionrft.settings.base import Preset, PresetPart


class Draft(PresetPart):
    """A variant with one field."""

    method: Literal["draft"] = "draft"
    k: int = Field(1, ge=1, description="denoising steps that carry gradient")


class Window(PresetPart):
    """Another variant, with other fields."""

    method: Literal["window"] = "window"
    start: int = Field(3, ge=0, description="first denoising step")


class Optimiser(PresetPart):
    """A group."""

    lr: float = Field(1e-4, gt=0, description="learning rate")
    warmup: int = Field(10, ge=0, description="updates")


class ToyPreset(Preset):
    """The preset of a command called toy."""

    command: ClassVar[str] = "toy"

    steps: int = Field(50, ge=1, description="denoising steps")
    kind: Literal["semantic", "physics"] = Field("semantic", description="which reward")
    reward: str | None = Field(None, description="reward folder")
    method: Draft | Window = Field(Draft(), discriminator="method", description="fine-tuning method")
    optimiser: Optimiser = Field(Optimiser(), description="optimiser")
    weights: dict[str, float] = Field(default_factory=dict, description="weight by name of term")
