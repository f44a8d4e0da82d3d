"""Settings of `motionrft prefer`."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from motionrft.generators.token_preset import TokenSamplingPreset
from motionrft.reward.events import EVENTS, USUAL
from motionrft.settings.base import PresetPart
from motionrft.text.preset import TextPreset

PROMPTS = "prompts.jsonl"
"""Of a run: the prompts that its pairs, beside it, are of."""


class JudgePart(PresetPart):
    """Who judges, and what it may cost."""

    name: Literal["rules", "swings", "reward", "endpoint", "transformers", "people"] = Field(
        "rules",
        description="rules on joints; swings, other rules written apart, to check what the first tuned; a reward; a "
        "model behind an OpenAI-compatible endpoint; a local vision-language model; people, by a page of pairs",
    )
    reward: str = Field("builtin", description="judge reward: which one, as --reward names it")
    model: str = Field(
        "gpt-4o", description="judge endpoint: the model's name there; judge transformers: the model's folder"
    )
    parallel: int = Field(
        4,
        ge=1,
        le=256,
        description="judge endpoint: calls at once; judge transformers: motions asked about at once",
    )
    timeout: float = Field(120.0, gt=0, description="judge endpoint: seconds of one call")
    max_calls: int | None = Field(
        None,
        ge=1,
        description="calls of an endpoint in all, for prompts and judgements, however often the run is started; null: no "
        "limit",
    )
    max_cost: float | None = Field(
        None, gt=0, description="the same in money, by the prices below; null: no limit"
    )
    price_in: float | None = Field(None, ge=0, description="endpoint: price of a million tokens sent")
    price_out: float | None = Field(None, ge=0, description="endpoint: price of a million tokens received")
    image_tokens: int = Field(1100, ge=0, description="judge endpoint: tokens of one sheet, for the estimate")
    data: str | None = Field(
        "builtin",
        description="data set folder whose real clips, put after each other, validate the judge before it is asked; "
        "builtin: those that travel with the package, as tokens; null: it is believed as it is",
    )
    split: str = Field("test", description="split of that data set")
    checks: int = Field(
        30, ge=1, description="motions of each kind of prompt that validate the judge, asked twice"
    )
    shows: dict[str, str] = Field(
        {},
        description="what that data set's kinds of motion (column content of index.csv) show: kind to event, of clips "
        "that show it once; the built-in models' kinds are known",
    )
    force: bool = Field(False, description="ask a judge whose validation is below 0.6")


class WriterPart(PresetPart):
    """Who puts prompts into words."""

    name: Literal["templates", "endpoint"] = Field(
        "templates",
        description="templates; or a language model behind the endpoint that a judge may be behind too, with the limits, "
        "prices and timeout of judge",
    )
    model: str = Field("gpt-4o", description="writer endpoint: the model's name there")
    at_once: int = Field(10, ge=1, le=50, description="writer endpoint: prompts of one call")


class PairsPart(PresetPart):
    """Which candidates become pairs."""

    per_prompt: int = Field(3, ge=1, description="pairs of one prompt at most")
    margin: float = Field(0.2, ge=0, le=1, description="difference of scores that a pair needs")
    balance: bool = Field(True, description="as many pairs of each kind of prompt")


class PreferPreset(TokenSamplingPreset, TextPreset):
    """Everything `motionrft prefer` decides."""

    command: ClassVar[str] = "prefer"

    generator: str = Field("builtin", description="generator folder or checkpoint, or builtin")
    prompts: str | None = Field(
        None, description="prompts.jsonl of one's own: text, kind, events, count; null: made by the writer"
    )
    writer: WriterPart = WriterPart()
    kinds: dict[str, int] = Field(
        {"integrity": 40, "temporal": 40, "frequency": 40}, description="prompts of each kind to make"
    )
    events: list[str] = Field(list(USUAL), description=f"events to make prompts of: {', '.join(EVENTS)}")
    held_out: float = Field(0.2, ge=0, lt=1, description="share of the prompts that is held out of the pairs")
    candidates: int = Field(8, ge=2, le=1000, description="motions of each prompt")
    steps: int | None = Field(
        None, ge=1, le=10_000, description="denoising steps; null: as tuned or published"
    )
    guidance: float | None = Field(None, description="guidance scale; null: as tuned or published")
    batch: int = Field(32, ge=1, description="motions computed at once")
    judge: JudgePart = JudgePart()
    pairs: PairsPart = PairsPart()

    @model_validator(mode="after")
    def _prompts_come_from_one_place(self) -> "PreferPreset":
        if self.prompts is not None and self.writer.name != "templates":
            raise ValueError(
                "prompts names a file, so there is nothing to write: leave out prompts or writer"
            )
        if self.judge.max_cost is not None and None in (self.judge.price_in, self.judge.price_out):
            raise ValueError("judge.max_cost needs prices: set judge.price_in and judge.price_out")
        return self

    @model_validator(mode="after")
    def _events_are_known(self) -> "PreferPreset":
        unknown = [name for name in self.events if name not in EVENTS]
        if unknown and self.prompts is None:
            raise ValueError(f"events: no event is called {unknown[0]!r}; there are {', '.join(EVENTS)}")
        unknown = [event for event in self.judge.shows.values() if event not in EVENTS]
        if unknown:
            raise ValueError(f"judge.shows: no event is called {unknown[0]!r}; there are {', '.join(EVENTS)}")
        return self
