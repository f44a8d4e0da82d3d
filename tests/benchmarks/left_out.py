"""Experiment B of "No MoCap Needed": a class no motion of which was seen, before and after tuning on its captions.

    python -m tests.benchmarks.left_out --data DATA --runs RUNS --classes run wave-both-hands

RUNS holds what `pretrain` and `finetune` made (README, "From prompts alone"): `base-CLASS`, pre-trained without the
class; `ddpo-CLASS-SEED`, that one tuned on its captions; `base-all`, pre-trained on everything. Judged are its clips of
the validation and the test split: no training list has them, and the test split alone has too few. A text looks for its
motion among 32: the made one, and 31 real ones of other kinds. Noise, captions and candidates are the same for every
generator; a change is the mean over training seeds, with a t interval over them, or over the sampling seeds of a single
run. What was judged before is read back.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft import builtin
from motionrft.data import MotionDataset
from motionrft.data.motions import Motions
from motionrft.evaluation import metrics
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.items import Drawn, FixedItems, TestItem, number_labels
from motionrft.evaluation.measure import Measured, measure, measure_clips
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.evaluation.sources import GeneratorSource
from motionrft.loading import load_generator, load_reward
from motionrft.training.seeds import generator_for
from tests.benchmarks.policy_training import interval

Numbers = dict[str, float]
METRICS = ("reward", "r1", "r2", "r3", "own_r1", "fid", "mm_dist", "jitter")
SAMPLING = {"sampler": "ddim", "eta": 1.0, "steps": 10, "guidance": 1.0}
"""What `mini-ddpo` tunes with: all rows are sampled so."""


@dataclass(frozen=True)
class Class:
    """Held-out clips of a class, and real ones of other kinds as what they could be mistaken for."""

    name: str
    items: FixedItems
    others: Measured
    kinds: Tensor  # (M,) int64 of the others


def held_class(data: Path, name: str, evaluator: Evaluator) -> Class:
    """A class by its content, the part of a label before the style."""
    mine, clips, others, kinds = [], [], [], []
    for split in ("val", "test"):
        dataset = MotionDataset(str(data), split)
        motions = Motions(dataset, evaluator.representation, evaluator.fps)
        for row, item in enumerate(dataset.items):
            content = (item.label or "").partition("/")[0]
            if content == name:
                mine.append(TestItem(item.key, item.captions, item.length, item.label))
                clips.append(motions.motion(row))
            elif split == "test":
                others.append(motions.motion(row))
                kinds.append(item.label)
    items = FixedItems(mine, measure_clips(evaluator, clips), evaluator.identity, name, dataset.fps)
    numbered = number_labels(kinds)
    assert numbered is not None
    return Class(name, items, measure_clips(evaluator, others), numbered)


def recognised(text: Tensor, motion: Tensor, judged: Class, seed: int) -> list[float]:
    """R@1, 2, 3: texts (N, E) that find their own motion (N, E) among it and 31 real ones of other kinds."""
    draws = generator_for(seed, f"others than {judged.name}")
    chosen = metrics.distinct_groups(judged.kinds, CANDIDATES - 1, len(text), draws)  # (N, 31)
    own = (text - motion).norm(dim=1, keepdim=True)  # (N, 1)
    other = (text[:, None] - judged.others.embeddings[chosen]).norm(dim=2)  # (N, 31)
    nearer = (other < own).sum(1)  # (N,)
    return [float((nearer < top).double().mean()) for top in (1, 2, 3)]


@torch.no_grad()
def numbers_of(
    text: Tensor, seen: Measured, reward: float, drawn: Drawn, judged: Class, seed: int
) -> Numbers:
    """All metrics of N motions for the drawn captions (N, E)."""
    assert drawn.real is not None
    shuffles = generator_for(seed, "groups")
    groups = torch.cat(
        [
            metrics.consecutive_groups(torch.randperm(len(text), generator=shuffles), CANDIDATES)
            for _ in range(10)
        ]
    )  # (G, 32)
    first, second, third = recognised(text, seen.embeddings, judged, seed)
    return ({} if reward is None else {"reward": reward}) | {
        "r1": first,
        "r2": second,
        "r3": third,
        "own_r1": float(metrics.r_precision(text, seen.embeddings, groups)[0]),
        "fid": float(metrics.frechet_distance(drawn.real.gaussian, seen.gaussian)),
        "mm_dist": float((text - seen.embeddings).norm(dim=1).mean()),
        "jitter": float(seen.physics["jitter"].mean()),
    }


class Judge:
    """The built-in evaluator and reward, neither of which any of the generators was trained on."""

    def __init__(self, data: Path, names: Sequence[str], seeds: int):
        self.evaluator = load_evaluator(builtin.path("evaluator"), torch.device("cpu"))
        self.reward = load_reward(weights={"semantic": 1.0})
        self.classes = {name: held_class(data, name, self.evaluator) for name in names}
        self.seeds = range(seeds)

    def generator(self, folder: Path, name: str) -> dict[str, list[float]]:
        """Each metric of a run's generator on a class, by sampling seed; read back where it was judged before."""
        kept = folder / f"left-out-{name}-{len(self.seeds)}.json"
        if kept.is_file():
            return dict(json.loads(kept.read_text(encoding="utf-8")))
        generator = load_generator(folder / "generator")
        source = GeneratorSource(generator, sampling=generator.sampling(**SAMPLING))
        judged, found = self.classes[name], []
        for seed in self.seeds:
            drawn = judged.items.draw(seed)
            made = source.make(drawn, seed)
            found.append(self._of(made.motion, made.lengths, made.representation, drawn, judged, seed))
        result = {metric: [numbers[metric] for numbers in found] for metric in METRICS}
        kept.write_text(json.dumps(result), encoding="utf-8")
        return result

    def real(self, name: str) -> dict[str, float]:
        """Real clips of the class under the same judges, mean over the seeds; two halves of them give their FID."""
        judged, found = self.classes[name], []
        for seed in self.seeds:
            drawn = judged.items.draw(seed)
            assert drawn.real is not None
            text = self.evaluator.embed_text(drawn.captions)
            numbers = numbers_of(text, drawn.real, None, drawn, judged, seed)
            order = torch.randperm(len(text), generator=generator_for(seed, "halves"))
            halves = [metrics.Gaussian.fit(drawn.real.embeddings[half]) for half in order.chunk(2)]
            found.append({**numbers, "fid": float(metrics.frechet_distance(*halves))})
        return {metric: statistics.fmean(each[metric] for each in found) for metric in found[0]}

    @torch.no_grad()
    def _of(
        self, motion: Tensor, lengths: Tensor, representation: str, drawn: Drawn, judged: Class, seed: int
    ) -> Numbers:
        condition = self.reward.prepare([caption.text for caption in drawn.captions])
        reward = float(self.reward(motion, lengths, condition)[0].mean())
        seen = measure(self.evaluator, motion, lengths, representation)
        return numbers_of(self.evaluator.embed_text(drawn.captions), seen, reward, drawn, judged, seed)


def rows(judge: Judge, runs: Path, name: str) -> dict[str, Any]:
    """Untuned, tuned (by training seed), trained on all, real; and the change with its interval."""
    untuned = judge.generator(runs / f"base-{name}", name)
    tuned = [judge.generator(folder, name) for folder in sorted(runs.glob(f"ddpo-{name}-*"))]
    everything = judge.generator(runs / "base-all", name)
    table: dict[str, Any] = {}
    real = judge.real(name)
    for metric in METRICS:
        start = statistics.fmean(untuned[metric])
        each = [statistics.fmean(run[metric]) - start for run in tuned]
        noises = [
            statistics.fmean(after) - before
            for *after, before in zip(*(run[metric] for run in tuned), untuned[metric], strict=True)
        ]
        change, half = interval(each if len(each) > 1 else noises)
        table[metric] = {
            "untuned": start,
            "change": change,
            "half": half,
            "by_training_seed": each,
            "by_sampling_seed": noises,
            "trained_on_all": statistics.fmean(everything[metric]),
            "real": real.get(metric),
        }
    return {"class": name, "clips": len(judge.classes[name].items.items), "metrics": table}


def table(found: Sequence[dict[str, Any]]) -> str:
    lines = ["| class | metric | untuned | tuned | change | trained on all | real |", "|---" * 7 + "|"]
    for each in found:
        for metric, value in each["metrics"].items():
            start, change = value["untuned"], value["change"]
            share = f" ({change / start:+.0%})" if start > 0 else ""
            cells = [
                each["class"], metric, f"{start:.3f}", f"{start + change:.3f}",
                f"{change:+.3f} ± {value['half']:.3f}{share}", f"{value['trained_on_all']:.3f}",
                "" if value["real"] is None else f"{value['real']:.3f}",
            ]  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="data set with labels CONTENT/STYLE")
    parser.add_argument("--runs", type=Path, required=True, help="folder of base-… and ddpo-… runs")
    parser.add_argument("--classes", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5, help="sampling seeds")
    parser.add_argument("--keep", type=Path, help="folder that left-out.json is written to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    judge = Judge(options.data, options.classes, options.seeds)
    found = [rows(judge, options.runs, name) for name in options.classes]
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / "left-out.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
