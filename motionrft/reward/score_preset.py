"""What `motionrft score` can be told."""

from typing import ClassVar

from pydantic import Field

from motionrft.files.reading_preset import ReadingPreset
from motionrft.reward.naming import REWARD
from motionrft.settings.code import CODE


class ScorePreset(ReadingPreset):
    """Settings of `motionrft score`."""

    command: ClassVar[str] = "score"

    reward: str = Field("builtin", description=REWARD, json_schema_extra=CODE)
    terms: list[str] | None = Field(
        None,
        description="semantic, preference, authenticity, physics, or single physics terms; null: all there are",
    )
    frames: bool = Field(False, description="give physics per frame as well (with --json)")
    fail_under: dict[str, float] = Field({}, description="term: lowest score that passes")
    fail_over: dict[str, float] = Field({}, description="term: highest score that passes")
