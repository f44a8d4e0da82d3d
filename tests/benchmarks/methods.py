"""Which method makes the built-in generator better: all of them at equal time and at equal updates.

    python -m tests.benchmarks.methods --out build/methods                   # about two hours of one core
    python -m tests.benchmarks.methods --out build/methods --workers 2      # two at a time, each on a core of its own

Every method gets the same seconds (of processor time, on one thread), prompts, noise, frozen references and held-out
items (`mini-compare`). Each gets its own learning rate, found the same way: one short list for all, one training seed,
validation prompts; the highest reward counts among the runs that leave the independent evaluator's FID and MM-Dist no
worse than the start (`best_rate`). The runs that are shown have other training seeds and the test prompts. Equal
updates are those that the slowest method makes in the equal time; a run that made at most a quarter more counts as it
is. A job that is finished is not repeated; the tables are written to OUT/table.md.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

RATES = (2e-5, 1e-4, 5e-4)
NOISE = 0.002
"""Of the reward: two sampling seeds leave about twice that in doubt."""
GUIDED = 2.5
RARE = {"warmup": 3}
"""Of the optimiser, where a trajectory ends in one update and a run has tens of them, not hundreds."""
SETTINGS: dict[str, dict[str, Any]] = {
    "easytune": {"method": {"k": 10, "rho": 0}},
    "refl": {"optimiser": RARE},
    "draft": {"method": {"k": 10}, "optimiser": RARE},
    "alignprop": {"optimiser": RARE},
    "drtune": {"optimiser": RARE},
    "easytune-chain": {"method": {"k": 10, "rho": 0}},
    "ddpo": {"method": {"clip": 0.01}, "eta": 1.0, "optimiser": RARE},
}
COLUMNS = {
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
class Job:
    """One run of one method."""

    method: str
    rate: float
    seed: int
    split: str
    sampling_seeds: int
    seconds: float | None = None
    updates: int | None = None
    guided: bool = False

    @property
    def name(self) -> str:
        budget = f"{self.seconds:g}s" if self.seconds else f"{self.updates}u"
        return f"{self.method}-{self.rate:g}-{budget}-seed{self.seed}-{self.split}"


@dataclass(frozen=True)
class Done:
    """What a run cost and gave; metrics are means over sampling seeds, by guidance scale."""

    updates: int
    seconds: float
    graph_bytes: float
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    real: dict[str, float]


def carry_out(job: Job, out: Path) -> Done:
    """Run a job, or read what it gave before."""
    file = out / job.name / "done.json"
    if file.is_file():
        return Done(**json.loads(file.read_text(encoding="utf-8")))

    import torch

    from motionrft.finetuning.comparison import read_lines
    from motionrft.finetuning.run import Session, finetune
    from motionrft.presets.finetune import FinetunePreset
    from motionrft.presets.layers import resolve

    torch.set_num_threads(1)
    base = resolve(FinetunePreset, "mini-compare").plain()
    own = SETTINGS[job.method]
    preset = FinetunePreset.of(
        {
            **base,
            "eta": own.get("eta"),
            "compare": {},
            "method": {"method": job.method, **own.get("method", {})},
            "optimiser": {**base["optimiser"], **own.get("optimiser", {}), "lr": job.rate},
            "seed": job.seed,
            "updates": job.updates,
            "time_limit": job.seconds,
            "evaluation": {
                **base["evaluation"],
                "split": job.split,
                "seeds": job.sampling_seeds,
                "guidance": [GUIDED] if job.guided else [],
            },
        },
        job.name,
    )
    before = out / f"before-{job.split}-{job.sampling_seeds}"
    session = Session(out / job.name, torch.device("cpu"), resume=(out / job.name).is_dir(), before=before)
    # One thread's processor time is what its wall time would be on a quiet machine, whoever else is busy.
    with patch("time.perf_counter", time.process_time):
        done = finetune(preset, session)
    lines = read_lines(out / job.name)
    found = Done(
        done.outcome.step,
        done.outcome.seconds,
        max(line["graph_bytes"] for line in lines),
        _means(before, "before", "metrics"),
        _means(out / job.name / "evaluation", "after", "metrics"),
        next(iter(_means(before, "before", "real").values())),
    )
    file.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def _means(folder: Path, name: str, part: str) -> dict[str, dict[str, float]]:
    """Guidance scale to means over sampling seeds."""
    found = {}
    for file in sorted(folder.glob(f"{name}-guidance-*.json")):
        values = json.loads(file.read_text(encoding="utf-8"))[part]
        scale = file.stem.rpartition("-")[2]
        found[scale] = {key: statistics.fmean(numbers) for key, numbers in values.items()}
    return found


def best_rate(tried: Mapping[float, Done]) -> float:
    """The highest validation reward among rates that leave FID and MM-Dist no worse (the lower MM-Dist of those that
    are equal but for noise); where all make them worse, the lowest FID.
    """

    def after(rate: float, metric: str) -> float:
        return tried[rate].after["1"][metric]

    honest = [
        rate
        for rate in tried
        if all(after(rate, metric) <= tried[rate].before["1"][metric] for metric in ("fid", "mm_dist"))
    ]
    if honest:
        best = max(after(rate, "reward") for rate in honest)
        equal = [rate for rate in honest if after(rate, "reward") > best - NOISE]
        return min(equal, key=lambda rate: after(rate, "mm_dist"))
    return min(tried, key=lambda rate: after(rate, "fid"))


class Bench:
    """Carries jobs out, several at a time."""

    def __init__(self, out: Path, workers: int):
        self.out, self.workers = out, workers

    def run(self, jobs: Sequence[Job]) -> dict[Job, Done]:
        self.out.mkdir(parents=True, exist_ok=True)
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
        after = done.after["1"]
        print(
            f"{job.name:48} {done.updates:5} updates {done.seconds:6.1f} s  reward {after['reward']:.3f}  "
            f"FID {after['fid']:.3f}  distinct R@3 {after['distinct_r3']:.3f}",
            flush=True,
        )
        return done


def _pin(cores: Any) -> None:
    os.sched_setaffinity(0, {cores.get()})


def table(title: str, found: Mapping[Job, Done], scale: str) -> Iterator[str]:
    """Markdown: the real motions, the start, then each method, mean +- deviation over training seeds."""
    yield f"\n## {title}\n"
    yield "| method | rate | " + " | ".join(COLUMNS.values()) + " | updates | seconds | MiB for backward |"
    yield "|---" * (len(COLUMNS) + 5) + "|"
    first = next(iter(found.values()))
    for name, values in (("real", first.real), ("start", first.before[scale])):
        cells = [f"{values[key]:.3f}" if key in values else "" for key in COLUMNS]
        yield f"| {name} | | " + " | ".join(cells) + " | | | |"
    for method in dict.fromkeys(job.method for job in found):
        runs = {job: done for job, done in found.items() if job.method == method}
        cells = [_spread(done.after[scale][key] for done in runs.values()) for key in COLUMNS]
        cost = [
            f"{statistics.fmean(values):.0f}"
            for values in zip(*((d.updates, d.seconds, d.graph_bytes / 2**20) for d in runs.values()))
        ]
        yield f"| {method} | {next(iter(runs)).rate:g} | " + " | ".join(cells + cost) + " |"


def slowest(found: Mapping[Job, Done]) -> int:
    """Updates of the method that makes the fewest, in its median run."""
    made: dict[str, list[int]] = {}
    for job, done in found.items():
        made.setdefault(job.method, []).append(done.updates)
    return min(int(statistics.median(updates)) for updates in made.values())


def _spread(values: Iterable[float]) -> str:
    numbers = list(values)
    deviation = f" ± {statistics.stdev(numbers):.3f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.3f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=120.0, help="of tuning, for every run")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds of the runs that are shown")
    parser.add_argument("--sampling-seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--methods", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    options = parser.parse_args()
    bench = Bench(options.out, options.workers)

    trials = [Job(m, rate, 100, "val", 2, options.seconds) for m in options.methods for rate in RATES]
    tried = bench.run(trials)
    rates = {
        method: best_rate({job.rate: done for job, done in tried.items() if job.method == method})
        for method in options.methods
    }
    seeds = range(1, options.seeds + 1)
    equal_time = bench.run(
        [
            Job(m, rates[m], seed, "test", options.sampling_seeds, options.seconds, guided=True)
            for m in options.methods
            for seed in seeds
        ]
    )
    fewest = slowest(equal_time)
    made = {job: done for job, done in equal_time.items() if done.updates <= 1.25 * fewest}
    shorter = [
        Job(job.method, job.rate, job.seed, "test", options.sampling_seeds, updates=fewest)
        for job in equal_time
        if job not in made
    ]
    equal_updates = bench.run(shorter) | made
    lines = [
        *table(f"{options.seconds:g} seconds each, sampled without guidance, as tuned", equal_time, "1"),
        *table(
            f"The same runs, sampled with guidance {GUIDED:g} (three sampling seeds)",
            equal_time,
            f"{GUIDED:g}",
        ),
        *table(f"{fewest} updates each (up to a quarter more), without guidance", equal_updates, "1"),
    ]
    (options.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
