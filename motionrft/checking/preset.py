"""Settings of `motionrft check`."""

from typing import ClassVar

from pydantic import Field

from motionrft.finetuning.methods.base import usable_methods
from motionrft.generators.preset import GENERATOR
from motionrft.reward.naming import NAMES, REWARD
from motionrft.settings.base import Preset
from motionrft.settings.fields import suggests


class CheckPreset(Preset):
    """What a fine-tuning run would be made of; any of the five asks for its preflight."""

    command: ClassVar[str] = "check"

    generator: str | None = Field(None, description=GENERATOR, json_schema_extra=suggests("builtin"))
    reward: str | None = Field(None, description=REWARD, json_schema_extra=NAMES)
    data: str | None = Field(None, description="data set folder that prompts would be taken from")
    evaluator: str | None = Field(
        None,
        description="evaluator for the watch and the tables: a folder, or builtin",
        json_schema_extra=suggests("builtin"),
    )
    finetune: str | None = Field(
        None, description="finetune's preset, a name or a file: the run whose preflight this is"
    )
    method: str | None = Field(
        None,
        description="how the generator would be tuned; null: as the finetune preset says",
        json_schema_extra=suggests(*usable_methods()),
    )
