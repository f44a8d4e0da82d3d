"""Who judges what is tuned on the wider world, and what a generator gets from them; no judge of them makes a gradient.

Rules that see events, twice written (prompts whose words are no training caption), the evaluator of the world (its
held-out items), and the same evaluator asked for the order and the number that it was not told.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

KINDS = ("integrity", "temporal", "frequency")
PROMPT_SEEDS = {"train": 30_000, "val": 31_000, "test": 32_000}
STEPS, GUIDANCE = 10, 2.5
_DRAWN = dict(zip(KINDS, (600, 600, 250), strict=True))
"""Prompts that are drawn before some are left out; there are no more than 270 that tell a number."""


def first_of_each(prompts: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """The first prompts of each kind, so many of each."""
    several = zip(KINDS, counts, strict=True)
    return [p for kind, n in several for p in [each for each in prompts if each.kind == kind][:n]]


def event_prompts(split: str, counts: Sequence[int], without: set[str]) -> list[Any]:
    """Prompts of a split's own draw, none of whose texts is among `without`."""
    from motionrft.preferences.prompts import template_prompts
    from motionrft.reward.events import USUAL

    drawn = template_prompts(_DRAWN, USUAL, 0.0, PROMPT_SEEDS[split])
    return first_of_each([prompt for prompt in drawn if prompt.text not in without], counts)


@dataclass(frozen=True)
class Judges:
    """Who judges, on what: event prompts for the rules, items of the world for its evaluator."""

    prompts: list[Any]
    items: Any
    others: dict[str, tuple[str, ...]]
    """Of a composed item, what the clips say that differ from it in order or number alone."""

    @classmethod
    def of(
        cls, data: Path, split: str, prompts: int, items: int, without: frozenset[str] = frozenset()
    ) -> "Judges":
        """As a split of a data set has them. without: texts that are no prompts, beside those of training captions."""
        from motionrft import builtin
        from motionrft.data import MotionDataset
        from motionrft.evaluation.evaluators import load_evaluator
        from motionrft.evaluation.items import FixedItems

        there, known = MotionDataset(data, split), set(MotionDataset(data, "train").texts)
        chosen = event_prompts(split, (prompts,) * 3, known | without)
        evaluator = load_evaluator(builtin.resolve("builtin-world", "evaluator"))
        held = FixedItems.of_dataset(there, evaluator, per_label=3).subset(items)
        members: dict[int, list[Any]] = {}
        for item, group in zip(there.items, there.groups.tolist(), strict=True):
            if group >= 0:
                members.setdefault(group, []).append(item)
        others = {
            item.key: tuple(c.text for other in group if other.key != item.key for c in other.captions)
            for group in members.values()
            for item in group
        }
        return cls(chosen, held, others)

    def save(self, folder: Path) -> None:
        """To be read where the data set is not."""
        from motionrft.preferences.prompts import write_event_prompts

        folder.mkdir(parents=True, exist_ok=True)
        write_event_prompts(folder / "prompts.jsonl", self.prompts)
        self.items.save(folder / "items")
        (folder / "others.json").write_text(json.dumps(self.others))

    @classmethod
    def load(cls, folder: Path) -> "Judges":
        from motionrft.evaluation.items import FixedItems
        from motionrft.preferences.prompts import read_event_prompts

        others = {
            key: tuple(texts) for key, texts in json.loads((folder / "others.json").read_text()).items()
        }
        return cls(read_event_prompts(folder / "prompts.jsonl"), FixedItems.load(folder / "items"), others)


def told_apart(
    evaluator: Any,
    others: dict[str, tuple[str, ...]],
    captions: Sequence[Any],
    keys: Sequence[str],
    motions: Any,
) -> dict[str, float]:
    """How often a composed motion is nearer to its own caption than to each of those it was not told.

    Args:
        motions: (N, E) as the evaluator embeds them.
    """
    import torch

    from motionrft.data.captions import Caption

    found: dict[str, list[float]] = {"order": [], "number": []}
    rows = [row for row, key in enumerate(keys) if others.get(key)]
    texts = [caption for row in rows for caption in (captions[row], *map(Caption, others[keys[row]]))]
    embedded = evaluator.embed_text(texts)  # (M, E)
    start = 0
    for row in rows:
        count = 1 + len(others[keys[row]])
        distance = (embedded[start : start + count] - motions[row]).norm(dim=-1)  # (count,)
        start += count
        kind = "number" if "number" in keys[row] or "-count-" in keys[row] else "order"
        found[kind].append(float((distance[0] < distance[1:]).to(torch.float64).mean()))
    return {f"{kind} told apart": fmean(values) for kind, values in found.items() if values}


def events(source: Any, prompts: Sequence[Any], seeds: Sequence[int]) -> dict[str, list[float]]:
    """What both sets of rules say of the same motions; the second of those of its prompts that it can see."""
    from motionrft.evaluation.events import sampled_events
    from motionrft.preferences.judges.rules import RuleJudge, second_rules
    from motionrft.preferences.run import judged

    found: dict[str, list[float]] = {}
    for seed in seeds:
        items, jitter, _ = sampled_events(source, prompts, seed)
        found.setdefault("events/jitter", []).append(float(jitter))
        for name, judge in (("events", RuleJudge()), ("swings", second_rules())):
            seen = [item for item in items if set(item.prompt.events) <= set(judge.sees)]
            answers = judge.judge(seen)
            records = [{"kind": seen[place].prompt.kind, "score": told.score} for place, told in answers]
            scores = {kind: each["score"] for kind, each in judged(records).items()}
            for kind, score in {**scores, "mean": fmean(scores.values())}.items():
                found.setdefault(f"{name}/{kind}", []).append(score)
    return found


def measured(
    generator: Any,
    judges: Judges,
    seeds: Sequence[int],
    steps: int = STEPS,
    dtype: Any = None,
    judge: str = "",
) -> dict[str, list[float]]:
    """Every metric, one number a sampling seed; on the generator's device.

    Args:
        judge: folder of a further evaluator, which is asked for order and number too.
    """
    import torch

    from motionrft import builtin
    from motionrft.evaluation.evaluators import load_evaluator
    from motionrft.evaluation.generation import GenerationProtocol, Repetition
    from motionrft.evaluation.measure import measure
    from motionrft.evaluation.sources import GeneratorSource

    device = str(generator.device)
    evaluator = load_evaluator(builtin.resolve("builtin-world", "evaluator"), device)
    asked = {"": evaluator, " (grouped)": load_evaluator(judge, device)} if judge else {"": evaluator}
    sampling = generator.sampling(None, None, steps, GUIDANCE)
    batch = 32 if generator.device.type == "cpu" else 256
    source = GeneratorSource(generator, sampling=sampling, batch=batch, dtype=dtype or torch.bfloat16)
    apart: dict[str, list[float]] = {}

    def also(seen: Repetition) -> None:
        made = seen.made.at(evaluator.fps)
        for which, each in asked.items():
            motions = measure(each, made.motion, made.lengths, made.representation, 32).embeddings
            said = told_apart(each, judges.others, seen.drawn.captions, seen.drawn.keys, motions)
            for name, share in said.items():
                apart.setdefault(name + which, []).append(share)

    found = events(source, judges.prompts, seeds)
    shown = GenerationProtocol(evaluator, judges.items, seeds, watch=also).run(source)
    found |= {name: list(values) for name, values in shown.metrics.items()}
    real = {f"real/{name}": list(values) for name, values in (shown.real or {}).items()}
    return found | apart | real
