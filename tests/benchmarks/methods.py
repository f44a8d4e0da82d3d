"""Which method makes the built-in generator better: all of them at equal time and at equal updates.

    python -m tests.benchmarks.methods --out build/methods --workers 2 --data DATA  # about five hours of two cores
    python -m tests.benchmarks.methods --out build/methods --methods easytune refl  # some of them, one at a time

Contests without guidance and with it, in tuning and sampling: each at equal seconds (of processor time, on one thread)
and at equal updates. In a contest every method gets the same prompts, noise, frozen references and held-out items
(`mini-compare`); SoPo and supervised tuning learn from the recorded motions of DATA besides, and are left out without
it. Each method gets its own learning rate, found the same way: one training seed, validation prompts, rates a factor
of five apart until the best lies between two that are worse (`search`, `best_rate`); `--rate` gives one rate to all
instead, as the paper does. The runs that are shown have other training seeds and the test prompts. Equal updates are
about what the slowest differentiable method makes in the equal time; runs that made as many but for a quarter count as
they are. A job that is finished is not repeated, and the tables are written to OUT/table.md after every contest.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

FIRST, FACTOR, FURTHER = (2e-5, 1e-4), 5, 2
"""Learning rates tried first, how far apart they lie, and how many more may follow in one direction."""
NOISE = 0.002
"""Of the reward: two sampling seeds leave about twice that in doubt."""
ALIKE = 1.25
"""Runs whose updates differ by less than this factor count as equal."""
TUNING_SEED, TUNING_SAMPLES = 100, 2
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
    "grpo": {"method": {"clip": 0.01, "updates": 2}, "eta": 1.0, "batch": 4, "optimiser": FEW},
    "dpo": {"optimiser": FEW},
    "sopo": {"optimiser": FEW},
    "sft": {"optimiser": MANY},
}
RECORDED = ("sopo", "sft")
"""Methods that learn from recorded motions."""
SEEN = 152
"""Training prompts whose reward is measured, as many as there are test prompts."""
COLUMNS = {
    "seen": "reward, training prompts",
    "reward": "reward",
    "label_r1": "label R@1",
    "label_r3": "label R@3",
    "distinct_r1": "distinct R@1",
    "distinct_r3": "distinct R@3",
    "fid": "FID",
    "mm_dist": "MM-Dist",
    "diversity": "Diversity",
    "jitter": "jitter",
    "turn_as_told": "turns as told",
}


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
    """What a run cost and gave; metrics are means over sampling seeds, by guidance scale.

    `seen` among them, in a run that is shown: the reward of whole trajectories for training prompts.
    """

    updates: int
    seconds: float
    graph_bytes: float
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    real: dict[str, float]


def carry_out(job: Job, out: Path) -> Done:
    """Run a job, or read what it gave before."""
    import torch

    torch.set_num_threads(1)
    file = out / job.name / "done.json"
    if not file.is_file():
        _write(file, _tuned(job, out))
    found = Done(**json.loads(file.read_text(encoding="utf-8")))
    if job.split == "test" and "seen" not in found.after[job.contest.scale]:
        found = _with_training_prompts(job, out, found)
        _write(file, found)
    return found


def _write(file: Path, found: Done) -> None:
    from motionrft.training.atomic import write_text

    write_text(file, json.dumps(asdict(found)))


def _tuned(job: Job, out: Path) -> Done:
    import torch

    from motionrft.finetuning.comparison import read_lines
    from motionrft.finetuning.run import Session, finetune

    shutil.rmtree(out / job.name, ignore_errors=True)
    session = Session(out / job.name, torch.device("cpu"), before=out / job.before)
    # One thread's processor time is what its wall time would be on a quiet machine, whoever else is busy.
    with patch("time.perf_counter", time.process_time):
        done = finetune(_preset(job), session)
    lines = read_lines(out / job.name)
    return Done(
        done.outcome.step,
        done.outcome.seconds,
        max(line["graph_bytes"] for line in lines),
        _means(session.before, "before", "metrics"),
        _means(out / job.name / "evaluation", "after", "metrics"),
        next(iter(_means(session.before, "before", "real").values())),
    )


def _with_training_prompts(job: Job, out: Path, found: Done) -> Done:
    """`found` with the reward for training prompts as `seen`, before and after."""
    from motionrft.training.atomic import write_text

    start = out / job.before / "seen.json"
    if not start.is_file():
        write_text(start, json.dumps(_seen("builtin", job)))
    scale = job.contest.scale
    before = {**found.before[scale], "seen": json.loads(start.read_text(encoding="utf-8"))}
    after = {**found.after[scale], "seen": _seen(str(out / job.name / "generator"), job)}
    return replace(found, before={**found.before, scale: before}, after={**found.after, scale: after})


def _seen(generator_name: str, job: Job) -> float:
    """Mean semantic reward of whole trajectories for SEEN training prompts, from noise that no run has met."""
    import torch

    from motionrft.finetuning.loading import load_parts
    from motionrft.generators.sampling import sample
    from motionrft.presets.finetune import FinetunePreset

    values = _preset(replace(job, method="easytune", data=None)).plain()
    own = {"generator": generator_name, "weights": {"semantic": 1.0}, "evaluation": {"prompts": 0}}
    preset = FinetunePreset.of({**values, **own}, job.name)
    parts = load_parts(preset, torch.device("cpu"))
    prompts = parts.prompts.head(SEEN)
    motion = sample(
        parts.generator,
        parts.generator.encode_text(prompts.texts),
        prompts.lengths,
        range(SEEN),
        preset.steps,
        preset.guidance,
    )
    with torch.no_grad():
        rewards, _ = parts.reward(motion, prompts.lengths, parts.reward.prepare(prompts.texts))
    return float(rewards.mean())


def _preset(job: Job) -> Any:
    from motionrft.presets.finetune import FinetunePreset
    from motionrft.presets.layers import resolve

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


def _means(folder: Path | None, name: str, part: str) -> dict[str, dict[str, float]]:
    """Guidance scale to means over sampling seeds."""
    assert folder is not None
    found = {}
    for file in sorted(folder.glob(f"{name}-guidance-*.json")):
        values = json.loads(file.read_text(encoding="utf-8"))[part]
        scale = file.stem.rpartition("-")[2]
        found[scale] = {key: statistics.fmean(numbers) for key, numbers in values.items()}
    return found


def best_rate(tried: Mapping[float, Done], scale: str) -> float:
    """The highest validation reward among rates that leave FID and MM-Dist no worse (the lower MM-Dist of those that
    are equal but for noise); where all make them worse, the lowest FID.
    """

    def after(rate: float, metric: str) -> float:
        return tried[rate].after[scale][metric]

    honest = [
        rate
        for rate in tried
        if all(after(rate, metric) <= tried[rate].before[scale][metric] for metric in ("fid", "mm_dist"))
    ]
    if honest:
        best = max(after(rate, "reward") for rate in honest)
        equal = [rate for rate in honest if after(rate, "reward") > best - NOISE]
        return min(equal, key=lambda rate: after(rate, "mm_dist"))
    return min(tried, key=lambda rate: after(rate, "fid"))


def next_rate(tried: Iterable[float], best: float) -> float | None:
    """The rate beyond the best one, where that is the lowest or the highest tried, within FURTHER steps of FIRST."""
    low, high = min(tried), max(tried)
    beyond = {low: low / FACTOR, high: high * FACTOR}.get(best)
    reach = 1.01 * FACTOR**FURTHER
    if beyond is None or not FIRST[0] / reach <= beyond <= FIRST[-1] * reach:
        return None
    return float(f"{beyond:.3g}")


class Bench:
    """Carries jobs out, several at a time."""

    def __init__(self, out: Path, workers: int, data: str | None):
        self.out, self.workers, self.data = out, workers, data

    def run(self, jobs: Sequence[Job]) -> dict[Job, Done]:
        self.out.mkdir(parents=True, exist_ok=True)
        jobs = [replace(job, data=self.data if job.method in RECORDED else None) for job in jobs]
        if self.workers == 1:
            return {job: self._said(job, carry_out(job, self.out)) for job in jobs}
        context = multiprocessing.get_context("spawn")
        cores = context.Queue()
        for core in sorted(os.sched_getaffinity(0))[: self.workers]:
            cores.put(core)
        with ProcessPoolExecutor(self.workers, context, _pin, (cores,)) as pool:
            found = pool.map(carry_out, jobs, [self.out] * len(jobs))
            return {job: self._said(job, done) for job, done in zip(jobs, found, strict=True)}

    def _said(self, job: Job, done: Done) -> Done:
        after = done.after[job.contest.scale]
        print(
            f"{job.name:58} {done.updates:5} updates {done.seconds:6.1f} s  reward {after['reward']:.3f}  "
            f"FID {after['fid']:.3f}  distinct R@3 {after['distinct_r3']:.3f}",
            flush=True,
        )
        return done


def _pin(cores: Any) -> None:
    os.sched_setaffinity(0, {cores.get()})


def search(bench: Bench, methods: Sequence[str], contest: Contest) -> dict[str, float]:
    """Every method's own rate."""
    tried: dict[str, dict[float, Done]] = {method: {} for method in methods}
    wanted = {method: list(FIRST) for method in methods}
    best: dict[str, float] = {}
    while wanted:
        trials = [
            Job(method, rate, TUNING_SEED, "val", TUNING_SAMPLES, contest)
            for method, rates in wanted.items()
            for rate in rates
        ]
        for job, done in bench.run(trials).items():
            tried[job.method][job.rate] = done
        best |= {method: best_rate(tried[method], contest.scale) for method in wanted}
        beyond = {method: next_rate(tried[method], best[method]) for method in wanted}
        wanted = {method: [rate] for method, rate in beyond.items() if rate is not None}
    return best


def hold(
    bench: Bench,
    methods: Sequence[str],
    contest: Contest,
    seeds: int,
    samples: int,
    rate: float | None = None,
) -> dict[Job, Done]:
    """A contest: the runs that are shown, at every method's own learning rate or at one for all."""
    rates = dict.fromkeys(methods, rate) if rate else search(bench, methods, contest)
    return bench.run(
        [
            Job(method, rates[method], seed, "test", samples, contest)
            for method in methods
            for seed in range(1, seeds + 1)
        ]
    )


def by_method(found: Mapping[Job, Done]) -> dict[str, dict[Job, Done]]:
    runs: dict[str, dict[Job, Done]] = {}
    for job, done in found.items():
        runs.setdefault(job.method, {})[job] = done
    return runs


def alike(found: Mapping[Job, Done], updates: int) -> dict[Job, Done]:
    """The runs of methods that made about that many updates."""
    return {
        job: done
        for runs in by_method(found).values()
        if all(updates / ALIKE <= done.updates <= updates * ALIKE for done in runs.values())
        for job, done in runs.items()
    }


def table(title: str, found: Mapping[Job, Done], scale: str) -> Iterator[str]:
    """Markdown: the real motions, the start, then each method, mean +- deviation over training seeds."""
    yield f"\n## {title}\n"
    yield "| method | rate | " + " | ".join(COLUMNS.values()) + " | updates | seconds | MiB for backward |"
    yield "|---" * (len(COLUMNS) + 5) + "|"
    first = next(iter(found.values()))
    for name, values in (("real", first.real), ("start", first.before[scale])):
        cells = [f"{values[key]:.3f}" if key in values else "" for key in COLUMNS]
        yield f"| {name} | | " + " | ".join(cells) + " | | | |"
    for method, runs in by_method(found).items():
        cells = [_spread(done.after[scale][key] for done in runs.values()) for key in COLUMNS]
        cost = [
            f"{statistics.fmean(values):.0f}"
            for values in zip(*((d.updates, d.seconds, d.graph_bytes / 2**20) for d in runs.values()))
        ]
        yield f"| {method} | {next(iter(runs)).rate:g} | " + " | ".join(cells + cost) + " |"


def _spread(values: Iterable[float]) -> str:
    numbers = list(values)
    deviation = f" ± {statistics.stdev(numbers):.3f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.3f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--seconds", type=float, nargs="*", default=[30.0, 120.0], help="of tuning without guidance"
    )
    parser.add_argument("--updates", type=int, default=35, help="of tuning without guidance; 0: leave out")
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument(
        "--guided-seconds", type=float, nargs="*", default=[60.0], help="of tuning with guidance"
    )
    parser.add_argument(
        "--guided-updates", type=int, default=14, help="of tuning with guidance; 0: leave out"
    )
    parser.add_argument("--seeds", type=int, default=3, help="training seeds of the runs that are shown")
    parser.add_argument("--sampling-seeds", type=int, default=5)
    parser.add_argument(
        "--rate", type=float, help="one learning rate for all, instead of the search for each"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--methods", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--data", help=f"data folder whose recorded motions {' and '.join(RECORDED)} need")
    options = parser.parse_args()
    bench = Bench(options.out, options.workers, options.data)
    methods = [m for m in options.methods if options.data or m not in RECORDED]

    lines: list[str] = []

    def compete(some: Sequence[str], contest: Contest) -> dict[Job, Done]:
        return hold(bench, some, contest, options.seeds, options.sampling_seeds, options.rate)

    def show(contest: Contest, found: Mapping[Job, Done]) -> None:
        lines.extend(table(contest.title, found, contest.scale))
        (options.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")

    for guidance, budgets, updates in (
        (1.0, options.seconds, options.updates),
        (options.guidance, options.guided_seconds, options.guided_updates),
    ):
        timed: dict[Job, Done] = {}
        for seconds in budgets:
            contest = Contest(guidance, seconds=seconds)
            timed = compete(methods, contest)
            show(contest, timed)
        if updates:
            contest = Contest(guidance, updates=updates)
            made = alike(timed, updates)
            others = [method for method in methods if method not in by_method(made)]
            show(contest, made | compete(others, contest))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
