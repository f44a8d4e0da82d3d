"""What motions are asked for beside their texts, in every command that makes them."""

from pydantic import Field

from motionrft.text.preset import TextPreset


class AskingPreset(TextPreset):
    """What a command is told of constraints; families that take none refuse them."""

    constraints: str | None = Field(
        None,
        description="constraints.json of Kimodo: path, key poses, hands and feet that every motion is held to; or a "
        ".jsonl or a folder with constraints a prompt",
    )
    heading: float | None = Field(
        None,
        ge=-360,
        le=360,
        description="degrees that the first frame faces, 0 is +Z, 90 +X; null: as constrained, else 0",
    )
