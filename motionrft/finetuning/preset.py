"""finetune: the preset."""

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union

from pydantic import BeforeValidator, Field, model_validator

from motionrft.errors import UserError
from motionrft.evaluation.preset import EventsPart
from motionrft.finetuning.methods.base import MethodPreset, method_named, plan_of, usable_methods
from motionrft.finetuning.methods.easytune import EasyTunePreset
from motionrft.generators.asking_preset import AskingPreset
from motionrft.generators.preset import GENERATOR
from motionrft.preferences.preset import PROMPTS
from motionrft.registry import METHODS, SAMPLERS
from motionrft.reward.naming import NAMES, REWARD, is_own, own_name
from motionrft.settings.base import PresetPart
from motionrft.settings.code import CODE
from motionrft.settings.fields import suggests
from motionrft.training.preset import OptimiserPreset

if TYPE_CHECKING:
    AnyMethod = MethodPreset
else:
    AnyMethod = Union[tuple(method.preset for method in usable_methods().values())]  # noqa: UP007
"""The settings of one method: of the table's, and of those that installed packages bring."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(value: object) -> object:
    """`10m`, `90s`, `1.5h` or a number of seconds, as seconds; anything else is left to the validator."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smh]?)\s*", value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


Seconds = Annotated[float, BeforeValidator(seconds)]


def _laid_over(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `update`, group by group."""
    result = dict(base)
    for key, value in update.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = _laid_over(base[key], value) if both else value
    return result


def _own_settings(name: object, own: Any) -> Any:
    """What a compared method sets: nothing, preset fields, or straight away fields of the method (`draft: {k: 4}`)."""
    if own is None:
        return {}
    if not isinstance(own, dict) or not isinstance(name, str) or name not in METHODS:
        return own
    fields = set(method_named(name).preset.model_fields) - {"method"}
    mine = {
        key: value for key, value in own.items() if key in fields and key not in FinetunePreset.model_fields
    }
    if not mine:
        return own
    given = own.get("method")
    method = {**mine, **given} if isinstance(given, dict) else mine
    return {key: value for key, value in own.items() if key not in mine} | {"method": method}


def _material(values: dict[str, Any], method: type[MethodPreset]) -> dict[str, Any]:
    """Of pairs and a data set, what a method learns from; the pairs' event prompts are those of all that are compared."""
    found = {} if "motion" in method.needs else {"data": None}
    if values["pairs"] is None or method.takes_pairs:
        return found
    beside, events = Path(values["pairs"]).parent / PROMPTS, values["events"]
    if events["prompts"] is None and beside.is_file():
        events = {**events, "prompts": str(beside)}
    return {**found, "pairs": None, "events": events}


class LoraPart(PresetPart):
    """Low-rank adapters on the denoiser instead of its full weights."""

    enabled: bool = Field(False, description="train low-rank adapters instead of full weights")
    rank: int = Field(8, ge=1, description="rank of the adapters")
    alpha: int = Field(16, ge=1, description="scale; the adapter is multiplied by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on an adapter's input")
    targets: list[str] | None = Field(None, description="layers of the denoiser; null: the family's own")


class ReferencePart(PresetPart):
    """What the `similarity` term compares a motion with; it guards against reward hacking."""

    source: Literal["frozen", "motion"] = Field(
        "frozen", description="frozen: the untuned generator's own output; motion: the data set's motion"
    )
    guidance: float | None = Field(
        None, description="guidance of the frozen output; null: that of the tuning"
    )
    noises: int | None = Field(
        None,
        ge=1,
        description="noises a prompt meets in turn, their references kept; null: another at each visit",
    )


class WatchPart(PresetPart):
    """Held-out prompts sampled now and then; what is watched is not what is optimised."""

    every: int = Field(
        300,
        ge=0,
        description="updates between two looks, three in a run at least and one at its end; 0 never looks",
    )
    prompts: int = Field(48, ge=32, description="held-out prompts a look samples; R-Precision ranks 32")
    seeds: int = Field(
        3, ge=2, description="sampling seeds of the look before any update: what chance does is no drift"
    )
    jitter: float = Field(0.25, gt=0, description="relative rise of jitter to warn of")
    mm_dist: float | None = Field(
        None,
        gt=0,
        description="rise of MM-Dist to warn of; null: three times its spread over the start's seeds",
    )
    foot_skating: float = Field(0.25, gt=0, description="relative rise of the skating ratio to warn of")
    motion_energy: float = Field(0.2, gt=0, description="relative change of motion energy to warn of")
    events: float = Field(
        0.05, gt=0, description="fall of the score of a kind of events to warn of; where pairs tell events"
    )
    stop: float = Field(3.0, ge=1, description="a rise this many times as large stops the run")


class EvaluationPart(PresetPart):
    """The table before and after, on held-out prompts."""

    data: str | None = Field(
        None,
        description="data set whose split is held out, builtin or builtin-world; null: that of the tuning. With prompts "
        "of a file: where the target's motions are",
    )
    source: str | None = Field(
        None,
        description="data set that the generator comes from, or builtin: one more table, of what was forgotten",
    )
    source_evaluator: str | None = Field(None, description="evaluator of the source; null: the same")
    split: str = Field("test", description="split of the data set whose prompts are held out")
    prompts: int = Field(152, ge=0, description="held-out prompts, at least 32; 0 leaves the evaluation out")
    events: int = Field(
        90,
        ge=0,
        description="of held-out prompts that tell events, in order or number, so many are also judged by rules, each "
        "at the cost of one of prompts; 0: none",
    )
    seeds: int = Field(5, ge=1, description="sampling seeds; differences are paired by them")
    guidance: list[float] = Field([], description="further scales to show beside the tuned one")
    samplers: list[str] = Field(
        [], description="further samplers to show beside the tuned one, at their published steps"
    )
    further_seeds: int = Field(3, ge=1, description="sampling seeds at those further scales")


class FiguresPart(PresetPart):
    """The article's figures in the report of a comparison, its ratios beside the run's own."""

    draw: bool = Field(False, description="draw figures 4 to 6 (of the start) and 9 to 11 (of the runs)")
    refined: str | None = Field(
        None,
        description="reward folder of refine-spl: the first method tunes with it too, for figures 14 and 15",
    )


BALANCED = "balanced"
PAPER_TERMS = ("semantic", "similarity", "preference", "authenticity")
"""The four terms of the paper's reward (Eq. 20)."""


def _with_shared_settings(names: list[str], method: Any) -> dict[str, Any]:
    """What was said of `method` beside several names (`--method draft,drtune --set method.k=3`) goes to each that has it.

    Raises:
        ValueError: none of them has it.
    """
    shared = (
        {key: value for key, value in method.items() if key != "method"} if isinstance(method, dict) else {}
    )
    own: dict[str, Any] = {name: {} for name in names}
    fields = {name: method_named(name).preset.model_fields for name in names if name in METHODS}
    for key, value in shared.items():
        having = [name for name in names if key in fields.get(name, ())]
        if not having:
            raise ValueError(f"method.{key}: none of {', '.join(names)} has this setting")
        for name in having:
            own[name].setdefault("method", {})[key] = value
    return own


class FinetunePreset(AskingPreset):
    """Settings of `motionrft finetune`."""

    command: ClassVar[str] = "finetune"
    rivals: ClassVar[dict[str, str]] = {
        "epochs": "updates", "updates": "epochs", "data": "prompts", "prompts": "data", "pairs": "prompts",
    }  # fmt: skip

    generator: str = Field(
        "builtin", description=GENERATOR, json_schema_extra=suggests("builtin", "builtin-tokens")
    )
    reward: str = Field("builtin", description=REWARD, json_schema_extra=NAMES)
    reward_rank: int | None = Field(
        None, ge=1, description="rank of a checkpoint's adapters, where several lie beside it"
    )
    evaluator: str | None = Field(
        None,
        description="evaluator for the watch and the tables: a folder, or builtin; null: the built-in one for kinds of "
        "motion it knows, and none on other data (physics and the reward are then shown)",
        json_schema_extra=suggests("builtin"),
    )
    data: str | None = Field(None, description="data set folder that prompts are taken from")
    split: str = Field("train", description="split of the data set to tune on")
    validation_split: str = Field("val", description="split of the data set that the watch looks at")
    prompts: str | None = Field(
        None,
        description="instead of a data set: text file, one prompt a line; prompts.jsonl of motionrft prefer; or "
        "builtin-world, prompts of events that travel with the package",
        json_schema_extra=suggests("builtin-world"),
    )
    seconds: float = Field(
        4.0, gt=0, le=5000, description="length of the motions of prompts that say none, seconds"
    )
    pairs: str | None = Field(
        None, description="pairs.jsonl whose better and worse motions dpo learns from, instead of own samples"
    )
    frames: int | None = Field(
        None, ge=1, le=100_000, description="the same in frames of the generator, instead of seconds"
    )
    method: AnyMethod = Field(
        EasyTunePreset(), discriminator="method", description="how the generator is tuned"
    )
    steps: int = Field(50, ge=1, le=10_000, description="denoising steps of a trajectory")
    sampler: str | None = Field(
        None,
        description="sampler; null: the generator's published choice",
        json_schema_extra=suggests(*SAMPLERS.names()),
    )
    eta: float | None = Field(
        None, ge=0, le=1, description="noise of DDIM or Euler steps; null: the published choice"
    )
    shift: float | None = Field(
        None, gt=0, description="of a flow's times: above 1 more steps lie near the noise; null: as published"
    )
    guidance: float | None = Field(None, description="guidance scale; 1 runs no second pass; null: published")
    batch: int = Field(16, ge=1, description="prompts a trajectory")
    micro_batch: int | None = Field(None, ge=1, description="prompts computed at once; null: the whole batch")
    updates: int | None = Field(
        1000, ge=1, description="optimiser updates; not asked for beside epochs, there is no limit"
    )
    epochs: float | None = Field(
        None, gt=0, description="passes over the prompts; the first limit ends the run"
    )
    time_limit: Seconds | None = Field(
        None, gt=0, description="seconds, or 90s, 10m, 1.5h; the first limit ends the run"
    )
    weights: dict[str, float] = Field(
        {"semantic": 1.0, "similarity": 1.0},
        description="reward terms and their weights; 0 leaves one out",
        json_schema_extra=CODE,
    )
    balance: bool = Field(
        False,
        description="divide each weight by its term's spread on real motions, so that equal weights act alike; "
        "`weights: balanced` is all four terms so",
    )
    reference: ReferencePart = ReferencePart()
    lora: LoraPart = LoraPart()
    freeze: list[str] = Field([], description="parts of the denoiser, by name, that stay as they are")
    optimiser: OptimiserPreset = OptimiserPreset(lr=1e-5, warmup=100)
    compile: bool | Literal["auto", "graphs"] = Field(
        "auto",
        description="true: compile the network, and decoding with judgement (minutes, once); graphs: capture them in "
        "CUDA graphs as they are (seconds; several times as fast); auto: graphs on a GPU where all of it is ours, but "
        "for ddpo and grpo",
    )
    ema: float | None = Field(None, gt=0, lt=1, description="decay of a saved weight average; null: none")
    compare: dict[str, dict[str, Any]] = Field(
        {}, description="methods to compare, each with what it sets differently; a list of names will do"
    )
    figures: FiguresPart = FiguresPart()
    checkpoint_every: int = Field(200, ge=0, description="updates between checkpoints; 0: only at the end")
    keep: int = Field(2, ge=0, description="newest checkpoints to keep; 0 keeps all")
    watch: WatchPart = WatchPart()
    evaluation: EvaluationPart = EvaluationPart()
    events: EventsPart = Field(
        EventsPart(),
        description="event prompts for the tables (null: those of the run's own prompts that are held out), and their "
        "judge; of motion tokens also for the watch and fresh candidates (null: prompts.jsonl beside the pairs, or made)",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, values: Any) -> Any:
        """`method: easytune,refl` and `compare: [easytune, refl]` name methods to compare; code as a reward weighs 1;
        epochs alone are the limit.
        """
        if not isinstance(values, dict):
            return values
        if is_own(values.get("reward")) and "weights" not in values:
            values = {**values, "weights": {own_name(values["reward"]): 1.0}}
        method, names = values.get("method"), values.get("compare")
        named = method.get("method") if isinstance(method, dict) else method
        if isinstance(named, str) and named in METHODS:
            method_named(named)  # says why where another package's does not load
        if isinstance(named, str) and "," in named:
            names = _with_shared_settings([name.strip() for name in named.split(",")], method)
            values = {**values, "method": {"method": next(iter(names))}}
        if isinstance(names, list):
            values = {**values, "compare": {str(name): {} for name in names}}
        if isinstance(names, dict):
            values = {
                **values,
                "compare": {str(name): _own_settings(name, own) for name, own in names.items()},
            }
        if values.get("weights") == BALANCED:
            values = {**values, "weights": dict.fromkeys(PAPER_TERMS, 1.0), "balance": True}
        if values.get("epochs") is not None and "updates" not in values:
            values = {**values, "updates": None}
        return values

    def variants(self, tokens: bool = False) -> dict[str, "FinetunePreset"]:
        """A preset for each method of `compare`; its own settings are laid over this preset.

        Args:
            tokens: the generator writes motion tokens: each method takes from pairs and data what it learns from.

        Raises:
            UserError: a method is unknown, or its settings are wrong.
        """
        found = {}
        for name, own in self.compare.items():
            if name not in METHODS:
                raise UserError(f"compare: no method {name!r}; there are {', '.join(METHODS.names())}")
            method_named(name)
            values = self.plain()
            kept = values["method"] if name == self.method.method else {}
            values |= {"compare": {}, "figures": {}, "method": {**kept, "method": name}}
            values |= _material(values, method_named(name).preset) if tokens else {}
            found[name] = FinetunePreset.of(_laid_over(values, own), f"compare.{name}")
        return found

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.updates is None and self.epochs is None and self.time_limit is None:
            raise ValueError("set updates, epochs or time_limit: one of them has to end the run")
        given = [name for name in ("data", "prompts", "pairs") if getattr(self, name) is not None]
        if len(given) > 1 and not self.compare:
            raise ValueError(f"{' and '.join(given)} are both given: prompts come from one of them")
        if 0 < self.evaluation.prompts < 32:
            raise ValueError(
                f"evaluation.prompts is {self.evaluation.prompts}: R-Precision ranks 32; 0 leaves it out"
            )
        if (self.figures.draw or self.figures.refined) and not self.compare:
            raise ValueError("figures are those of a comparison: name methods below compare")
        name = self.method.method
        if not self.compare:  # of several methods each is checked with its own settings, in `variants`
            self._check_method()
        elif name not in self.compare and self.method != type(self.method)(method=name):
            raise ValueError(
                f"{name} is not compared, so its settings are nobody's: write them below compare"
            )
        return self

    def _check_method(self) -> None:
        """Raise `ValueError` where the method cannot run as it is asked to."""
        if self.method.recompute and not method_named(self.method.method).follows_plan:
            raise ValueError(
                f"method.recompute: {self.method.method} holds the graph of one network call at a time, so nothing is "
                "saved by computing it again; leave it out"
            )
        plan_of(self.method, self.steps, 1.0, random.Random(0))
        if self.pairs is not None and not self.method.takes_pairs:
            raise ValueError(f"pairs are what dpo learns from, not {self.method.method}: set --method dpo")
        if self.compile not in (False, "auto") and "noise" in self.method.needs:
            raise ValueError(
                f"{self.method.method} compares probabilities to 1e-4, so what is sampled has to be computed exactly "
                "as it is replayed: leave compile out"
            )
        for term in self.method.reads:
            if not self.weights.get(term):
                raise ValueError(
                    f"{self.method.method} reads the {term} term itself: give weights.{term} any weight but 0"
                )
        learns_from_motion = "motion" in self.method.needs or self.reference.source == "motion"
        if learns_from_motion and self.data is None:
            what = self.method.method if "motion" in self.method.needs else "reference.source motion"
            raise ValueError(f"{what} learns from recorded motions: name a data set with --data")

    @property
    def needs(self) -> frozenset[str]:
        """What a batch must bring: as the method says, but given pairs need no reward."""
        return frozenset({"motion"}) if self.pairs is not None else self.method.needs
