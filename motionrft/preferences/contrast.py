"""A reward of what was told minus what was not: the same events in another order or number, or one of them alone.

    motionrft finetune --preset world-easytune --prompts FILE --out runs/events

A cosine to the prompt alone favours what is "more like the text". This term is 0 for a prompt that tells neither an
order nor a number nor several events. A reward judges with it that was trained on groups which differ in nothing else
(`builtin-world`; MOTIONRFT_CONTRAST names another). What it is worth: tests/benchmarks/README.md, "The wider world".
"""

import os
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.files.composition import clause_of
from motionrft.loading import open_reward
from motionrft.preferences.events import EVENTS
from motionrft.reward.base import Reward, RewardCondition
from motionrft.reward.motionreward.motionreward import MotionReward

JUDGE = os.environ.get("MOTIONRFT_CONTRAST", "builtin-world")
_NUMBERS = ("once", "twice", "three times")
_NUMBER = re.compile(
    r"(?P<told>.*?),?\s(?P<number>(?:just )?once|one time|twice|two times|thrice|three times(?: in a row)?)\.?$"
)
_PLACES = {
    "one time": "once", "just once": "once", "two times": "twice", "thrice": "three times",
    "three times in a row": "three times",
}  # fmt: skip
_ORDERS = (
    re.compile(r"first (?P<first>.+), then (?P<second>.+)"),
    re.compile(r"after (?P<first>.+), the person (?P<second>.+)"),
    re.compile(r"(?P<first>.+?) before the person (?P<second>.+)"),
    re.compile(r"(?P<first>.+?) and after that (?P<second>.+)"),
    re.compile(r"(?P<first>.+?)(?:,| and) then (?P<second>(?!lowers |keeps ).+)"),
)


def _plain(text: str) -> str:
    """Without a full stop, and with a subject that captions have too."""
    return text.strip().rstrip(".").replace("one person", "a person")


def opposites(text: str) -> list[str]:
    """The same events in the other order, or in every other number up to three; none where neither is told."""
    told = _plain(text)
    if told.endswith(", and then does it again"):
        told = told.removesuffix(", and then does it again") + " twice"
    if number := _NUMBER.fullmatch(told):
        own = _PLACES.get(number["number"], number["number"])
        return [f"{number['told']} {other}" for other in _NUMBERS if other != own]
    for order in _ORDERS:
        found = order.fullmatch(told)
        clause = clause_of(found["first"]) if found else None
        if found and clause:
            start, end = found.span("second")
            swapped = told[:start] + clause.phrase + told[end:]
            return [swapped.replace(found["first"], f"{clause.subject} {found['second']}", 1)]
    return []


def parts(text: str) -> list[str]:
    """Each event of a prompt that names several, alone; none where it names fewer than two of those that rules see."""
    found = sorted(
        (text.find(event.phrase), event.phrase) for event in EVENTS.values() if event.phrase in text
    )
    clause = clause_of(_plain(text).removeprefix("first ").removeprefix("after "))
    subject = clause.subject if clause else "a person"
    return [f"{subject} {phrase}" for _, phrase in found] if len(found) > 1 else []


class Contrast(Reward):
    """Cosine to the prompt minus the mean cosine to its opposites and parts, (-2, 2)."""

    representation = "kinematic"

    def __init__(self) -> None:
        super().__init__()
        judge = open_reward(JUDGE)
        assert isinstance(judge, MotionReward)
        self.judge = judge

    @property
    def width(self) -> int:
        return self.judge.width

    @property
    def learnt_noise(self) -> bool:
        return self.judge.learnt_noise

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        others = [opposites(text) + parts(text) for text in texts]
        said = sorted({text for each in others for text in each} | set(texts))
        known = dict(zip(said, self.judge.embed_text(said), strict=True))  # (L,) each
        rows = [
            known[text] - torch.stack([known[other] for other in each]).mean(0)
            if each
            else torch.zeros_like(known[text])
            for text, each in zip(texts, others, strict=True)
        ]
        return RewardCondition(torch.stack(rows))  # (B, L)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert condition.text is not None
        value = (self.judge.embed_motion(motion, lengths, t) * condition.text).sum(-1)  # (B,)
        return value, {}
