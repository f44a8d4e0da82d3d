"""What `motionrft sample` can be told."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from motionrft.files.words import file_words
from motionrft.generators.asking_preset import AskingPreset
from motionrft.generators.token_preset import TokenSamplingPreset
from motionrft.registry import GENERATORS, SAMPLERS
from motionrft.settings.fields import separated, suggests

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[file_words()]
GENERATOR = "generator folder, official checkpoint, builtin, or a name that a package brings"
Representation = Literal["kinematic", "joints", "rotation"]


class SamplePreset(TokenSamplingPreset, AskingPreset):
    """Settings of `motionrft sample`."""

    command: ClassVar[str] = "sample"

    generator: str = Field(
        "builtin", description=GENERATOR, json_schema_extra=suggests("builtin", "builtin-tokens")
    )
    family: str | None = Field(
        None,
        description="family of an official checkpoint; null: recognised from its keys",
        json_schema_extra=suggests(*GENERATORS.names()),
    )
    statistics: str | None = Field(
        None, description="folder of an official checkpoint's Mean.npy and Std.npy; null: beside it"
    )
    num: int = Field(1, ge=1, le=100_000, description="motions a prompt")
    seconds: float = Field(4.0, gt=0, le=5000, description="length of a motion in seconds")
    length: int | None = Field(None, ge=1, le=100_000, description="length in frames, instead of seconds")
    chain: bool = Field(
        False,
        description="make one motion of all prompts, each taking over where the one before ends; for Kimodo",
    )
    split: str = Field("test", description="split of the data set whose captions are the prompts")
    steps: int | None = Field(
        None, ge=1, le=10_000, description="denoising steps; null: as tuned, else as published"
    )
    guidance: float | None = Field(
        None, ge=0, description="guidance scale; null: as tuned, else as published; 1: none"
    )
    sampler: str | None = Field(
        None,
        description="sampler of the family; null: as tuned, else as published",
        json_schema_extra=suggests(*SAMPLERS.names()),
    )
    eta: float | None = Field(
        None, ge=0, le=1, description="noise of DDIM or Euler steps, 0 to 1; null: as tuned, else none"
    )
    shift: float | None = Field(
        None, gt=0, description="of a flow's times: above 1 more steps lie near the noise; null: as tuned"
    )
    batch: int = Field(16, ge=1, description="motions made at once; the result does not depend on it")
    formats: Annotated[list[Format], BeforeValidator(separated)] = Field(
        ["npy", "html"], min_length=1, description="files written for each motion"
    )
    smooth: bool = Field(
        False,
        description="smooth rotations and path as HY-Motion's display does; for generators of rotations",
    )
    representation: Representation | None = Field(
        None, description="representation of the array files; null: the generator's own"
    )
