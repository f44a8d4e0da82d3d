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
they are. A job that is finished is not repeated, whatever has changed since: another OUT begins anew. The tables are
written to OUT/table.md after every contest.
"""

import argparse
import multiprocessing
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks.method_runs import RECORDED, SETTINGS, Contest, Done, Job, carry_out

FIRST, FACTOR, FURTHER = (2e-5, 1e-4), 5, 2
"""Learning rates tried first, how far apart they lie, and how many more may follow in one direction."""
NOISE = 0.002
"""Of the reward: two sampling seeds leave about twice that in doubt."""
ALIKE = 1.25
"""Runs whose updates differ by less than this factor count as equal."""
TUNING_SEED, TUNING_SAMPLES = 100, 2
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


def best_rate(tried: Mapping[float, Done]) -> float:
    """The highest validation reward among rates that leave FID and MM-Dist no worse (the lower MM-Dist of those that
    are equal but for noise); where all make them worse, the lowest FID.
    """

    def after(rate: float, metric: str) -> float:
        return tried[rate].after[metric]

    honest = [
        rate
        for rate in tried
        if all(after(rate, metric) <= tried[rate].before[metric] for metric in ("fid", "mm_dist"))
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
        after = done.after
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
        best |= {method: best_rate(tried[method]) for method in wanted}
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


def table(title: str, found: Mapping[Job, Done]) -> Iterator[str]:
    """Markdown: the real motions, the start, then each method, mean +- deviation over training seeds."""
    yield f"\n## {title}\n"
    yield "| method | rate | " + " | ".join(COLUMNS.values()) + " | updates | seconds | MiB for backward |"
    yield "|---" * (len(COLUMNS) + 5) + "|"
    first = next(iter(found.values()))
    for name, values in (("real", first.real), ("start", first.before)):
        cells = [f"{values[key]:.3f}" if key in values else "" for key in COLUMNS]
        yield f"| {name} | | " + " | ".join(cells) + " | | | |"
    for method, runs in by_method(found).items():
        cells = [_spread(done.after[key] for done in runs.values()) for key in COLUMNS]
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
        lines.extend(table(contest.title, found))
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
