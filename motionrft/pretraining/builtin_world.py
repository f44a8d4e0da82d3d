"""What travels beside the models of the wider world: held-out items as its evaluator sees them, and prompts of events.

The last step of `make world`. Prompts tell events in plain words (`motionrft.preferences.prompts`), with some captions of
training clips among those that are tuned on, so that tuning meets every kind of motion.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from motionrft.data.folder import MotionDataset
from motionrft.evaluation.evaluators.loading import load_evaluator
from motionrft.evaluation.items import FixedItems
from motionrft.preferences.prompts import EventPrompt, template_prompts
from motionrft.preferences.scoring import KINDS
from motionrft.reward.events import EVENTS, USUAL
from motionrft.training.atomic import write_text
from motionrft.training.seeds import item_seed

ITEMS = {"val": 96, "test": 160}
"""Held-out items; evaluation time is dear, and so is every byte that travels."""
PER_LABEL = 3
"""Of a kind, before that: composed kinds are many, single ones uneven."""
TUNED, HELD_OUT, CAPTIONS = 80, 30, 80
"""Event prompts of each kind that are tuned on, and of each that are not; captions among the first."""
SHARE = 3
"""Every so many'th set of events that happen, and order of two, is only told by held-out prompts."""
_DRAWN = {"integrity": 600, "temporal": 600, "frequency": 250}
_SEED = 33_000


LICENCE = """Computed from the Bandai-Namco-Research-Motiondataset, (c) 2022 Bandai Namco Research Inc.
(Kobayashi et al. 2023, arXiv:2306.08861), under CC BY-NC 4.0: **non-commercial use only**; and from clips of the CMU
Graphics Lab Motion Capture Database (subjects 01-14), free for all uses. The code is MIT."""


def write_material(data: Path, evaluator: Path, out: Path) -> None:
    """Write `items/val`, `items/test` and `prompts.jsonl` below `out`, replacing what lies there.

    Args:
        data: data set folder of the wider world. evaluator: folder.
    """
    judge = load_evaluator(evaluator)
    for split, count in ITEMS.items():
        items = FixedItems.of_dataset(MotionDataset(data, split), judge, PER_LABEL).subset(count)
        card = f"# Evaluation items of the wider world, {split} split\n\nCaptions, lengths and embeddings of real clips."
        items.save(out / "items" / split, f"{card}\n\n{LICENCE}\n")
    write_prompts(MotionDataset(data, "train"), out / "prompts.jsonl")


def write_prompts(train: MotionDataset, path: Path) -> None:
    """Event prompts to tune on, captions of single clips among them, and held-out ones: a JSON object a line.

    A held-out prompt's words are no training caption, and no other prompt asks for the same events, or the same order.
    Of a number, of which there are few, only the words are others.
    """
    known = set(train.texts)
    drawn = [
        p for p in template_prompts(_DRAWN, USUAL, 0.0, _SEED) if p.text not in known and not _comes_along(p)
    ]
    lines: list[dict[str, Any]] = []
    for kind in KINDS:
        mine = [prompt for prompt in drawn if prompt.kind == kind]
        apart = [prompt for place, prompt in enumerate(mine) if _apart(prompt, place)]
        rest = [prompt for place, prompt in enumerate(mine) if not _apart(prompt, place)]
        lines += [asdict(prompt) for prompt in _varied(rest)[:TUNED]]
        lines += [asdict(replace(prompt, held_out=True)) for prompt in _varied(apart)[:HELD_OUT]]
    lines += _captions(train)
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _comes_along(prompt: EventPrompt) -> bool:
    """Whether one event of several happens with another anyhow: who turns a corner walks."""
    besides = {name for event in prompt.events for name in EVENTS[event].besides}
    return prompt.kind == "integrity" and bool(besides & set(prompt.events))


def _apart(prompt: EventPrompt, place: int) -> bool:
    """Whether a prompt is held out."""
    if prompt.kind == "frequency":
        return place % SHARE == 0
    told = prompt.events if prompt.kind == "temporal" else sorted(prompt.events)
    return item_seed(0, prompt.kind, *told) % SHARE == 0


def _varied(prompts: Sequence[EventPrompt]) -> list[EventPrompt]:
    """Different events first, then the same in other words."""
    met = Counter[tuple[str, ...]]()
    turns = []
    for prompt in prompts:
        told = (*sorted(prompt.events), str(prompt.count)) if prompt.kind != "temporal" else prompt.events
        met[told] += 1
        turns.append((met[told], prompt))
    return [prompt for _, prompt in sorted(turns, key=lambda turn: turn[0])]


def _captions(train: MotionDataset) -> Iterator[dict[str, Any]]:
    """Different captions of single clips: one of every kind of motion, then more, in the order of a hash."""
    singles = [item for item in train.items if item.label and not item.label.endswith("/composed")]
    met: dict[str, int] = {}
    found: dict[str, tuple[int, float]] = {}
    for item in sorted(singles, key=lambda item: item_seed(0, item.key)):
        content, text = str(item.label).split("/")[0], item.captions[0].text
        if text not in found:
            met[content] = met.get(content, 0) + 1
            found[text] = met[content], round(item.length / train.fps, 2)
    for text, (_, seconds) in sorted(found.items(), key=lambda each: each[1][0])[:CAPTIONS]:
        yield {"text": text, "seconds": seconds}
