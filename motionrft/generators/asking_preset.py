"""What motions are asked for beside their texts, in every command that makes them."""

import math
from pathlib import Path

from pydantic import Field

from motionrft.generators.text_to_motion import TextToMotion
from motionrft.parsing import parse_json, parsing, read_text
from motionrft.text.preset import TextPreset


class AskingPreset(TextPreset):
    """What a command is told of constraints; families that take none refuse them."""

    constraints: str | None = Field(
        None,
        description="constraints.json of Kimodo: path, key poses, hands and feet that every motion is held to",
    )
    heading: float | None = Field(
        None,
        ge=-360,
        le=360,
        description="degrees that the first frame faces, 0 is +Z, 90 +X; null: as constrained, else 0",
    )


def ask_as(preset: AskingPreset, generator: TextToMotion) -> None:
    """Ask the generator for what the preset says.

    Raises:
        UserError: the file is missing or no JSON, or the family takes no constraints.
    """
    heading = None if preset.heading is None else math.radians(preset.heading)
    wishes = None
    if preset.constraints is not None:
        with parsing(preset.constraints, "constraints.json"):
            wishes = parse_json(read_text(Path(preset.constraints)))
    generator.ask(wishes, heading, preset.constraints or "constraints")
