"""What `motionrft eval` can be told."""

from typing import ClassVar, Literal

from pydantic import Field

from motionrft.files.reading_preset import ReadingPreset
from motionrft.generators.token_preset import TokenSamplingPreset
from motionrft.preferences.preset import JudgePart
from motionrft.reward.events import USUAL
from motionrft.reward.naming import NAMES, REWARD
from motionrft.settings.base import PresetPart
from motionrft.text.preset import TextPreset


class EventsPart(PresetPart):
    """`eval events`: the prompts, and who judges them."""

    prompts: str | None = Field(
        None, description="prompts.jsonl of motionrft prefer, its held-out ones where it has any; null: made"
    )
    kinds: dict[str, int] = Field(
        {"integrity": 30, "temporal": 30, "frequency": 30}, description="prompts of each kind to make"
    )
    names: list[str] = Field(list(USUAL), description="events to make prompts of")
    judge: JudgePart = JudgePart()


class EvalPreset(TokenSamplingPreset, TextPreset, ReadingPreset):
    """Settings of `motionrft eval`."""

    command: ClassVar[str] = "eval"

    data: str | None = Field(
        None, description="data set folder in HumanML3D's layout; null: the built-in test items"
    )
    split: str = Field("test", description="split to evaluate on")
    generator: str | None = Field(None, description="generator folder, or builtin")
    motions: str | None = Field(None, description="folder of motions named by clip, instead of a generator")
    reward: str | None = Field(None, description=f"{REWARD}; null: none", json_schema_extra=NAMES)
    evaluator: str = Field(
        "builtin", description="evaluator folder (ours, Guo et al.'s, a reward), or builtin"
    )
    representation: Literal["kinematic", "joints", "rotation"] | None = Field(
        None,
        description="what a reward with several representations reads, as evaluator; null: its usual one",
    )
    name: str | None = Field(None, description="what tables call the result; null: the folder's name")
    repeats: int = Field(20, ge=1, le=10_000, description="repetitions, with seeds SEED, SEED + 1, …")
    selection: Literal["fixed", "official"] = Field(
        "fixed",
        description="fixed: whole clips, caption by seed; official: random crops and captions, recorded",
    )
    min_frames: int = Field(
        40, ge=4, description="shortest clip of the official selection (HumanML3D 40, KIT-ML 24)"
    )
    per_label: int | None = Field(None, ge=1, description="at most so many clips of each kind; null: all")
    limit: int | None = Field(None, ge=1, description="at most so many clips, a seeded choice; null: all")
    sampler: str | None = Field(
        None, description="sampler; null: what the generator was tuned with, else its published one"
    )
    eta: float | None = Field(
        None, ge=0, le=1, description="noise of DDIM or Euler steps; null: as tuned, else none"
    )
    shift: float | None = Field(
        None, gt=0, description="of a flow's times: above 1 more steps lie near the noise; null: as tuned"
    )
    steps: int | None = Field(
        None, ge=1, le=10_000, description="denoising steps; null: as tuned, else as published"
    )
    guidance: float | None = Field(None, description="guidance scale; null: as tuned, else as published")
    batch: int = Field(32, ge=1, description="motions computed at once; results do not depend on it")
    multimodality: int = Field(
        0, ge=0, description="captions to make 30 motions of; 0 leaves MultiModality out"
    )
    sentences: str = Field(
        "minilm", description="text encoder whose sentence vectors decide TMR's threshold protocol"
    )
    threshold: float = Field(
        0.95, gt=0.5, le=1, description="texts as like as this (TMR's scale) are the same"
    )
    subset: str | None = Field(None, description="file of clip names for TMR's protocol on dissimilar items")
    events: EventsPart = EventsPart()
    pictures: int = Field(12, ge=0, description="prompts shown as moving figures in the report; 0: none")
