"""One run of one method in a contest of `tests.benchmarks.methods`: tune, evaluate, keep what came of it."""

import json
import shutil
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

MANY, FEW = {"warmup": 20}, {"warmup": 3}
"""Of the optimiser, where a run has hundreds of updates or tens of them."""
SETTINGS: dict[str, dict[str, Any]] = {
    "easytune": {"method": {"k": 10, "rho": 0}, "optimiser": MANY},
    "easytune-chain": {"method": {"k": 10, "rho": 0}, "optimiser": MANY},
    "refl": {"optimiser": FEW},
    "draft": {"method": {"k": 10}, "optimiser": FEW},
    "alignprop": {"optimiser": FEW},
    "drtune": {"optimiser": FEW},
    "ddpo": {"method": {"clip": 0.01}, "eta": 1.0, "optimiser": FEW},
    "grpo": {"method": {"clip": 0.01}, "eta": 1.0, "batch": 4, "optimiser": FEW},
    "dpo": {"optimiser": FEW},
    "sopo": {"optimiser": FEW},
    "sft": {"optimiser": MANY},
}
RECORDED = ("sopo", "sft")
"""Methods that learn from recorded motions."""
SEEN = 152
"""Training prompts whose reward is measured, as many as there are test prompts."""


@dataclass(frozen=True)
class Contest:
    """What all methods have in common in one table: the scale tuned and sampled at, and the budget of a run."""

    guidance: float
    seconds: float | None = None
    updates: int | None = None

    @property
    def scale(self) -> str:
        return f"{self.guidance:g}"

    @property
    def budget(self) -> str:
        return f"{self.seconds:g}s" if self.seconds else f"{self.updates}u"

    @property
    def suffix(self) -> str:
        return "" if self.guidance == 1 else f"-guidance-{self.scale}"

    @property
    def title(self) -> str:
        how = "without guidance" if self.guidance == 1 else f"with guidance {self.scale}"
        what = f"{self.seconds:g} seconds" if self.seconds else f"{self.updates} updates"
        return f"{what} each, tuned and sampled {how}"


@dataclass(frozen=True)
class Job:
    """One run of one method."""

    method: str
    rate: float
    seed: int
    split: str
    sampling_seeds: int
    contest: Contest
    data: str | None = None

    @property
    def name(self) -> str:
        return f"{self.method}-{self.rate:g}-{self.contest.budget}-seed{self.seed}-{self.split}{self.contest.suffix}"

    @property
    def before(self) -> str:
        """Name of the folder of the evaluations of the untuned generator."""
        return f"before-{self.split}-{self.sampling_seeds}{self.contest.suffix}"


@dataclass(frozen=True)
class Done:
    """What a run cost and gave; metrics are means over sampling seeds.

    `seen` among them, in a run that is shown: the reward of whole trajectories for training prompts.
    """

    updates: int
    seconds: float
    graph_bytes: float
    before: dict[str, float]
    after: dict[str, float]
    real: dict[str, float]


def carry_out(job: Job, out: Path) -> Done:
    """Run a job, or read what it gave before."""
    import torch

    torch.set_num_threads(1)
    file = out / job.name / "done.json"
    if not file.is_file():
        _write(file, _tuned(job, out))
    found = Done(**json.loads(file.read_text(encoding="utf-8")))
    if job.split == "test" and "seen" not in found.after:
        found = _with_training_prompts(job, out, found)
        _write(file, found)
    return found


def _write(file: Path, found: Done) -> None:
    from motionrft.training.atomic import write_text

    write_text(file, json.dumps(asdict(found)))


def _tuned(job: Job, out: Path) -> Done:
    import torch

    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession
    from motionrft.training.lines import read_lines
    from motionrft.training.run import METRICS

    shutil.rmtree(out / job.name, ignore_errors=True)
    session = FinetuneSession(out / job.name, torch.device("cpu"), before=out / job.before)
    # One thread's processor time is what its wall time would be on a quiet machine, whoever else is busy.
    with patch("time.perf_counter", time.process_time):
        done = finetune(_preset(job), session)
    lines = read_lines(out / job.name / METRICS)
    before = out / job.before / f"before-guidance-{job.contest.scale}.json"
    after = out / job.name / "evaluation" / f"after-guidance-{job.contest.scale}.json"
    return Done(
        done.outcome.step,
        done.outcome.seconds,
        max(line["graph_bytes"] for line in lines),
        _means(before, "metrics"),
        _means(after, "metrics"),
        _means(before, "real"),
    )


def _with_training_prompts(job: Job, out: Path, found: Done) -> Done:
    """`found` with the reward for training prompts as `seen`, before and after."""
    from motionrft.training.atomic import write_text

    start = out / job.before / "seen.json"
    if not start.is_file():
        write_text(start, json.dumps(_seen("builtin", job)))
    before = {**found.before, "seen": json.loads(start.read_text(encoding="utf-8"))}
    after = {**found.after, "seen": _seen(str(out / job.name / "generator"), job)}
    return replace(found, before=before, after=after)


def _seen(generator_name: str, job: Job) -> float:
    """Mean semantic reward of whole trajectories for SEEN training prompts, from noise that no run has met."""
    import torch

    from motionrft.finetuning.loading import load_parts
    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.generators.sampling import sample

    values = _preset(replace(job, method="easytune", data=None)).plain()
    own = {"generator": generator_name, "weights": {"semantic": 1.0}, "evaluation": {"prompts": 0}}
    preset = FinetunePreset.of({**values, **own}, job.name)
    parts = load_parts(preset, torch.device("cpu"))
    prompts = parts.prompts.head(SEEN)
    made = sample(
        parts.generator,
        parts.generator.encode_text(prompts.texts),
        prompts.lengths,
        range(SEEN),
        parts.generator.sampling(preset.sampler, preset.eta, preset.steps, preset.guidance),
    )
    with torch.no_grad():
        rewards, _ = parts.reward(made.motion, prompts.lengths, parts.reward.prepare(prompts.texts))
    return float(rewards.mean())


def _preset(job: Job) -> Any:
    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.settings.layers import resolve

    base = resolve(FinetunePreset, "mini-compare").plain()
    own = SETTINGS[job.method]
    warmup = FEW if job.contest.updates else own["optimiser"]
    evaluation = {"split": job.split, "seeds": job.sampling_seeds, "guidance": []}
    return FinetunePreset.of(
        {
            **base,
            "eta": own.get("eta"),
            "batch": own.get("batch", base["batch"]),
            "guidance": job.contest.guidance,
            "data": job.data,
            "compare": {},
            "method": {"method": job.method, **own.get("method", {})},
            "optimiser": {**base["optimiser"], **warmup, "lr": job.rate},
            "seed": job.seed,
            "updates": job.contest.updates,
            "time_limit": job.contest.seconds,
            "evaluation": {**base["evaluation"], **evaluation},
        },
        job.name,
    )


def _means(file: Path, part: str) -> dict[str, float]:
    """Means over the sampling seeds of a saved evaluation."""
    values = json.loads(file.read_text(encoding="utf-8"))[part]
    return {key: statistics.fmean(numbers) for key, numbers in values.items()}
