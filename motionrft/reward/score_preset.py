"""What `motionrft score` can be told."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from motionrft.files.reading_preset import ReadingPreset
from motionrft.reward.naming import LEARNT, MEASURED, NAMES, REWARD
from motionrft.settings.fields import separated, suggests


class ScorePreset(ReadingPreset):
    """Settings of `motionrft score`."""

    command: ClassVar[str] = "score"

    reward: str = Field("builtin", description=REWARD, json_schema_extra=NAMES)
    terms: Annotated[list[str] | None, BeforeValidator(separated)] = Field(
        None,
        description="semantic, preference, authenticity, physics, or single physics terms such as jitter, with commas "
        "between; null: all there are; contrast, of texts that tell an order or a number, only where it is named",
        json_schema_extra=suggests(*LEARNT, "contrast", "physics", *MEASURED),
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
    jobs: int = Field(1, ge=1, le=1024, description="processes; results do not depend on it")
    frames: bool = Field(False, description="give physics per frame as well (with --json)")
    fail_under: dict[str, float] = Field({}, description="term: lowest score that passes")
    fail_over: dict[str, float] = Field({}, description="term: highest score that passes")
