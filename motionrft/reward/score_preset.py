"""What `motionrft score` can be told."""

from typing import ClassVar

from pydantic import Field

from motionrft.files.reading_preset import ReadingPreset
from motionrft.reward.naming import NAMES, REWARD


class ScorePreset(ReadingPreset):
    """Settings of `motionrft score`."""

    command: ClassVar[str] = "score"

    reward: str = Field("builtin", description=REWARD, json_schema_extra=NAMES)
    terms: list[str] | None = Field(
        None,
        description="semantic, preference, authenticity, physics, or single physics terms; null: all there are",
    )
    judged_in: str | None = Field(
        None,
        description="representation that the reward judges, so that one motion has one score whatever file it is in; "
        "own: each file's own; null: what the reward expects (kinematic)",
    )
    fps: float | None = Field(
        None,
        ge=1,
        le=1000,
        description="rate at which physics is measured; null: the reward's, with which percentiles go",
    )
    frames: bool = Field(False, description="give physics per frame as well (with --json)")
    fail_under: dict[str, float] = Field({}, description="term: lowest score that passes")
    fail_over: dict[str, float] = Field({}, description="term: highest score that passes")
