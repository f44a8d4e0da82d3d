"""Settings of sampling motion tokens, in every command that samples."""

from pydantic import Field

from motionrft.generators.kinds import Ending
from motionrft.settings.base import Preset


class TokenSamplingPreset(Preset):
    """What a command may be told of drawing motion tokens; null stands for what the generator was tuned with."""

    temperature: float | None = Field(
        None, ge=0, le=10, description="of motion tokens: divides the logits; null: as tuned, else 1"
    )
    top_k: int | None = Field(
        None, ge=0, description="of motion tokens: only so many of the likeliest, 0 for all; null: as tuned"
    )
    masked: bool | None = Field(
        None,
        description="of motion tokens: only those that make a motion are drawn; null: as tuned, else true",
    )
    ending: Ending | None = Field(
        None,
        description="of motion tokens: asked writes the length asked for, own ends by itself, cut is own cut to what "
        "was asked for; null: as tuned, else asked",
    )
