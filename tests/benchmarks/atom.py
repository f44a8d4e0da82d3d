"""AToM end to end: prompts to pairs by rules, preference tuning, and what it is worth on prompts that nobody tuned on.

    python -m tests.benchmarks.atom --generator GENERATOR --out build/atom --keep tests/benchmarks/results

Every training seed samples its own candidates and tunes on its own pairs with the presets `prefer/mini-atom` and
`finetune/mini-atom`. A run's test prompts share no text with what it was tuned on or watched. Two judges made no pairs:
`swings`, rules written apart from those that judged them, and a reward that learnt order and number from composed
clips: its score of the prompt, and how often that is above the score of the same told in the other order, or with another
number.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

KINDS = ("integrity", "temporal", "frequency")
TEST_SEED = 20_000


@dataclass(frozen=True)
class Scored:
    """One state of the generator on the test prompts: kind to scores (P, S) by prompt and sampling seed, and the rest."""

    rules: dict[str, list[list[float]]]
    swings: dict[str, list[list[float]]]
    reward: dict[str, list[list[float]]]
    apart: dict[str, list[list[float]]]
    jitter: float
    items: dict[str, float]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval over independent prompts."""
    half = 1.96 * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
    return fmean(differences), half


def fresh_prompts(count: int, taken: set[str]) -> list[Any]:
    """`count` prompts of each kind whose texts are not in `taken`."""
    from motionrft.preferences.prompts import template_prompts
    from motionrft.reward.events import USUAL

    found: list[Any] = []
    for prompt in template_prompts(dict.fromkeys(KINDS, 3 * count), USUAL, 0.0, TEST_SEED):
        alike = [each for each in found if each.kind == prompt.kind]
        if prompt.text not in taken and len(alike) < count:
            found.append(prompt)
    return found


def other_text(prompt: Any) -> str | None:
    """The prompt in the other order, or with another number, in the same words; None of an integrity prompt."""
    from motionrft.preferences.prompts import FREQUENCY
    from motionrft.reward.events import EVENTS

    phrases = [EVENTS[name].phrase for name in prompt.events]
    if prompt.kind == "temporal":
        return "\0".join(
            part.replace(phrases[1], phrases[0]) for part in prompt.text.split(phrases[0])
        ).replace("\0", phrases[1])
    if prompt.kind == "frequency":
        other = 1 if prompt.count == 3 else prompt.count + 1
        for place, template in enumerate(FREQUENCY[prompt.count]):
            before, after = template.format(who="\0", a=phrases[0]).split("\0")
            if prompt.text.startswith(before) and prompt.text.endswith(after):
                who = prompt.text[len(before) : len(prompt.text) - len(after)]
                told = FREQUENCY[other]
                return told[place % len(told)].format(who=who, a=phrases[0])
    return None


def told_apart(judge: Any, items: Sequence[Any]) -> dict[str, float]:
    """By prompt, 1.0 where the motion's own prompt scores above the other one, 0.5 where both are equal."""
    from dataclasses import replace

    others = [(item, text) for item in items if (text := other_text(item.prompt)) is not None]
    wrong = [replace(item, prompt=replace(item.prompt, text=text)) for item, text in others]
    right = dict(judge.judge([item for item, _ in others]))
    found = dict(judge.judge(wrong))
    return {
        item.prompt.id: float(right[n].score > found[n].score) + 0.5 * (right[n].score == found[n].score)
        for n, (item, _) in enumerate(others)
    }


def scored(generator: Any, prompts: Sequence[Any], seeds: int, item_seeds: int) -> Scored:
    """Both judges on the same motions, and the field's metrics on the built-in test items."""
    from motionrft import builtin
    from motionrft.evaluation.evaluators import load_evaluator
    from motionrft.evaluation.events import sampled_events
    from motionrft.evaluation.generation import evaluate_generator
    from motionrft.evaluation.items import FixedItems
    from motionrft.evaluation.sources import GeneratorSource
    from motionrft.preferences.judges.reward import RewardJudge
    from motionrft.preferences.judges.rules import RuleJudge, second_rules

    judges: dict[str, Any] = {
        "rules": RuleJudge(), "swings": second_rules(), "reward": RewardJudge(builtin.WORLD)
    }  # fmt: skip
    found: dict[str, dict[str, list[list[float]]]] = {n: {k: [] for k in KINDS} for n in (*judges, "apart")}
    by_prompt: dict[str, dict[str, list[float]]] = {name: {} for name in found}
    jitters = []
    for seed in range(seeds):
        items, jitter, _ = sampled_events(GeneratorSource(generator), prompts, seed)
        jitters.append(float(jitter))
        for name, share in told_apart(judges["reward"], items).items():
            by_prompt["apart"].setdefault(name, []).append(share)
        for name, judge in judges.items():
            for place, judgement in judge.judge(items):
                by_prompt[name].setdefault(prompts[place].id, []).append(float(judgement.score))
    for name, scores in by_prompt.items():
        for prompt in prompts:
            if prompt.id in scores:
                found[name][prompt.kind].append(scores[prompt.id])
    evaluator = load_evaluator(builtin.path("evaluator"))
    result = evaluate_generator(
        generator, None, evaluator, FixedItems.load(builtin.items_path("test")), range(item_seeds)
    )
    shown = {name: fmean(values) for name, values in result.metrics.items()}
    return Scored(**found, jitter=fmean(jitters), items=shown)


def rows_of(before: Scored, after: Scored) -> dict[str, Any]:
    """Before, after and the paired difference over prompts of each kind and of their mean."""
    found: dict[str, Any] = {}
    for name in ("rules", "swings", "reward", "apart"):
        old, new = getattr(before, name), getattr(after, name)
        differences: list[float] = []
        means: list[tuple[float, float]] = []
        for kind in [kind for kind in KINDS if old[kind]]:
            each = [fmean(b) - fmean(a) for a, b in zip(old[kind], new[kind], strict=True)]
            mean, half = interval(each)
            a, b = (fmean(fmean(scores) for scores in side[kind]) for side in (old, new))
            found[f"{name}/{kind}"] = {"before": a, "after": b, "change": mean, "half": half}
            differences += each
            means.append((a, b))
        mean, half = interval(differences)
        a, b = (fmean(side) for side in zip(*means, strict=True))
        found[f"{name}/mean"] = {"before": a, "after": b, "change": mean, "half": half}
    found["jitter"] = {"before": before.jitter, "after": after.jitter}
    for name in ("label_r1", "raw_r1", "fid", "mm_dist", "jitter"):
        if name in before.items:
            found[f"items/{name}"] = {"before": before.items[name], "after": after.items[name]}
    return found


def pooled(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over training seeds; the interval is over seeds (t, 2 degrees of freedom with three)."""
    students = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}
    found = {}
    for name in runs[0]:
        before, after = (fmean(run[name][side] for run in runs) for side in ("before", "after"))
        changes = [run[name]["after"] - run[name]["before"] for run in runs]
        half = (
            students.get(len(runs), 1.96) * stdev(changes) / math.sqrt(len(runs))
            if len(runs) > 1
            else math.nan
        )
        found[name] = {
            "before": before,
            "after": after,
            "change": after - before,
            "half": half,
            "changes": changes,
        }
    return found


def one_run(generator: str, out: Path, seed: int) -> dict[str, float]:
    """Prompts, candidates, judgements, pairs, tuning; seconds of the processor of each."""
    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession
    from motionrft.preferences.preset import PreferPreset
    from motionrft.preferences.run import Preferring
    from motionrft.settings.layers import resolve

    began = time.process_time()
    prefer = resolve(PreferPreset, "mini-atom", environment={}).model_copy(
        update={"seed": seed, "generator": generator}
    )
    told = Preferring(prefer, out / "prefer", torch.device("cpu")).run(
        ("prompts", "candidates", "judge", "pairs")
    )
    made = time.process_time()
    preset = resolve(FinetunePreset, "mini-atom", environment={}).model_copy(
        update={
            "seed": seed,
            "generator": generator,
            "pairs": str(out / "prefer" / "pairs.jsonl"),
            "evaluation": FinetunePreset().evaluation.model_copy(update={"prompts": 0, "seeds": 2}),
        }
    )
    session = FinetuneSession(out / "tuned", torch.device("cpu"), overwrite=True)
    done = finetune(preset, session)
    return {
        "pairs": told["pairs"], "updates": done.outcome.step, "seconds prefer": made - began,
        "seconds finetune": time.process_time() - made, "reason": done.outcome.reason,
    }  # fmt: skip


def table(found: dict[str, Any]) -> str:
    """The pooled numbers as Markdown."""
    lines = ["| | before | after | change |", "| --- | --- | --- | --- |"]
    for name, row in found.items():
        lines.append(
            f"| {name} | {row['before']:.3f} | {row['after']:.3f} | {row['change']:+.3f} ± {row['half']:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generator", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="folder that atom.json is written into")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--prompts", type=int, default=30, help="test prompts of each kind")
    parser.add_argument("--samples", type=int, default=4, help="sampling seeds of a test prompt")
    parser.add_argument("--items", type=int, default=2, help="sampling seeds of the test items")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    from motionrft.loading import load_generator
    from motionrft.preferences.prompts import read_event_prompts

    costs, runs, counts = [], [], []
    untuned = load_generator(asked.generator)
    for seed in range(asked.first, asked.first + asked.seeds):
        out = asked.out / f"seed-{seed}"
        cost = out / "cost.json"
        if not cost.is_file():
            cost.parent.mkdir(parents=True, exist_ok=True)
            cost.write_text(json.dumps(one_run(asked.generator, out, seed)))
        costs.append(json.loads(cost.read_text()))
        print(costs[-1], flush=True)
        taken = {prompt.text for prompt in read_event_prompts(out / "prefer" / "prompts.jsonl")}
        prompts = fresh_prompts(asked.prompts, taken)  # there are few ways to ask for a number of times
        counts.append({kind: sum(prompt.kind == kind for prompt in prompts) for kind in KINDS})
        tuned = load_generator(out / "tuned" / "generator")
        before, after = (scored(each, prompts, asked.samples, asked.items) for each in (untuned, tuned))
        runs.append(rows_of(before, after))
        print(table(pooled(runs[-1:])), flush=True)
    found = pooled(runs)
    print(table(found))
    if asked.keep:
        settings = {"first": asked.first, "prompts": counts, "samples": asked.samples, "items": asked.items}
        kept = {"pooled": found, "runs": runs, "costs": costs, "settings": settings}
        (asked.keep / "atom.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
