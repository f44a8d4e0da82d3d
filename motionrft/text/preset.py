"""Where a generator's texts are read, in every command that has one."""

from pydantic import Field

from motionrft.settings.base import Preset


class TextPreset(Preset):
    """What a command is told about the text encoder of a generator that reads one vector a prompt (Kimodo)."""

    text_features: str | None = Field(
        None,
        description="file of ready text features instead of the text encoder: safetensors by prompt, or npy beside a "
        "txt of prompts; for generators that read one vector a prompt",
    )
    text_service: str | None = Field(
        None, description="address of Kimodo's text encoder service instead, http://HOST:9550"
    )
