"""A judge is validated before it is believed: on real clips put after each other, what happens is known.

Every motion is shown twice, with the prompt that tells what it does and with one that does not: other events, the other
order, another number. What is asked of a judge is ours, not AToM's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import fmean
from typing import Any

import numpy as np
import torch

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.preferences.journal import Journal, unanswered
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.preferences.prompts import EventPrompt, event_text
from motionrft.preferences.scoring import KINDS, Kind
from motionrft.representations.join import BLEND, join, repeated
from motionrft.representations.names import JOINTS
from motionrft.representations.together import stands
from motionrft.reward.events import EVENTS, Event, Shown

BELIEVED = 0.6
"""Below it a judge is not believed, unless that is asked for."""
_LONGEST = {True: 5.0, False: 3.6}
"""s: longer clips are left out where an event is whole, and cut where a part of it is the same event."""
_TIMES = (1, 2, 3)
_FEWEST = 4
"""Events: two that happen, and two that do not."""


@dataclass(frozen=True)
class Figures:
    """How a judge did on one kind of prompt.

    right, wrong: mean scores of motions under the prompt that tells what they do, and under one that does not.
    apart: share of motions whose right prompt scores above the wrong one, equal scores counted half.
    motions: that have both scores.
    """

    right: float
    wrong: float
    apart: float
    motions: int

    @property
    def believed(self) -> bool:
        """Whether such a judge is worth asking."""
        return min(self.right, self.apart) >= BELIEVED


@dataclass(frozen=True)
class Known:
    """A joined motion with what it does (`right`) and what it does not (`wrong`)."""

    right: Item
    wrong: Item


def real_clips(
    dataset: MotionDataset, shown: Mapping[str, Shown]
) -> dict[str, list[tuple[Shown, torch.Tensor]]]:
    """Clips that show one event, as joints (T, 22, 3), by the event; `shown` says what kinds of motion show.

    Raises:
        UserError: fewer than four events are shown.
    """
    motions, found = Motions(dataset, JOINTS, dataset.fps), dict[str, list[tuple[Shown, torch.Tensor]]]()
    for number, item in enumerate(dataset.items):
        what = shown.get((item.label or "").partition("/")[0])
        if what is None:
            continue
        longest = round(_LONGEST[what.whole] * dataset.fps)
        clip = motions.motion(number).unflatten(-1, (-1, 3))  # (T, 22, 3)
        if len(clip) > 2 * BLEND and (len(clip) <= longest or not what.whole):
            found.setdefault(what.event, []).append((what, clip[:longest]))
    if len(found) < _FEWEST:
        raise UserError(
            f"{dataset.folder}, split {dataset.split}: its clips show {', '.join(found) or 'no event'}, and {_FEWEST} "
            "events are needed. Kinds of motion are the column content of index.csv; judge.shows says what each shows."
        )
    return found


def known_motions(
    clips: Mapping[str, Sequence[tuple[Shown, torch.Tensor]]], fps: float, number: int, seed: int
) -> list[Known]:
    """`number` joined motions of each kind of prompt, each with a prompt that is true and one that is not."""
    made = []
    for kind in KINDS:
        rng = Random(f"{seed} {kind}")
        for place in range(number):
            made.append(_MAKERS[kind](clips, fps, rng, f"{kind}-{place:04d}"))
    return made


def validate(
    judge: Judge,
    known: Sequence[Known],
    journal: Journal,
    key_of: Callable[[Judge, Item], str],
    asked: Callable[[int], None] = lambda count: None,
) -> dict[Kind, Figures]:
    """Ask a judge about motions whose truth is known; what the journal holds is not asked again.

    Args:
        key_of: of an answer in the journal. asked: told how many answers more there are.

    Raises:
        UserError: the judge cannot work, or gave no score for a whole kind of prompt.
    """
    items = [item for each in known for item in (each.right, each.wrong)]
    keys = [key_of(judge, item) for item in items]
    missing = unanswered(keys, journal)
    asked(len(items) - len(missing))
    for place, judgement in judge.judge([items[place] for place in missing]):
        journal.add(keys[missing[place]], _record(items[missing[place]], judge, judgement))
        asked(1)
    scores: dict[Kind, list[tuple[float, float]]] = {}
    for place, each in enumerate(known):
        right, wrong = (journal[key]["score"] for key in keys[2 * place : 2 * place + 2])
        if right is not None and wrong is not None:
            scores.setdefault(each.right.prompt.kind, []).append((right, wrong))
    lacking = [kind for kind in KINDS if kind not in scores]
    if lacking:
        raise UserError(f"judge {judge.name}: no answer about {lacking[0]} could be used.")
    return {kind: figures(scores[kind]) for kind in KINDS}


def figures(scores: Sequence[tuple[float, float]]) -> Figures:
    """Of (score of the right prompt, score of the wrong one), one of each motion."""
    apart = fmean(float(right > wrong) + 0.5 * (right == wrong) for right, wrong in scores)
    return Figures(fmean(r for r, _ in scores), fmean(w for _, w in scores), apart, len(scores))


def check_believed(judge: Judge, found: Mapping[Kind, Figures]) -> None:
    """Refuse a judge that does not know what happens in real motions.

    Raises:
        UserError: as said.
    """
    for kind, one in found.items():
        if not one.believed:
            raise UserError(
                f"judge {judge.name} is not believed: {kind} prompts that are true score {one.right:.2f}, wrong ones "
                f"{one.wrong:.2f}, told apart {one.apart:.2f}; {BELIEVED} is the least. Name another judge, or take it "
                "as it is with --set judge.force=true."
            )


def _record(item: Item, judge: Judge, judgement: Judgement) -> dict[str, Any]:
    prompt = item.prompt
    told = {"prompt": prompt.id, "kind": prompt.kind, "text": prompt.text, "judge": judge.name}
    return told | asdict(judgement)


Clips = Mapping[str, Sequence[tuple[Shown, torch.Tensor]]]


def _strangers(events: Sequence[Event], others: Iterator[str] | Sequence[str]) -> list[str]:
    """Those of `others` that a motion of these events does not show besides."""
    there = {event.name for event in events} | {name for event in events for name in event.besides}
    return [name for name in others if name not in there and not there & set(EVENTS[name].besides)]


def _drawn(clips: Clips, rng: Random, wanted: int) -> list[str]:
    """Names of events none of which is a part of another."""
    chosen: list[str] = []
    for _ in range(wanted):
        left = _strangers([EVENTS[name] for name in chosen], sorted(clips))
        chosen += [rng.choice(left)] if left else []
    return chosen


def _joined(clips: Clips, events: Sequence[str], rng: Random) -> np.ndarray:
    return join([rng.choice(clips[event])[1].double() for event in events]).float().numpy()


def _known(
    kind: Kind,
    name: str,
    joints: np.ndarray,
    fps: float,
    told: Sequence[tuple[Sequence[str], int]],
    rng: Random,
) -> Known:
    """told: events and number of the right prompt, then of the wrong one."""
    seconds = len(joints) / fps
    prompts = [
        EventPrompt(
            f"{name}-{side}", kind, event_text(kind, events, count, rng), tuple(events), seconds, count
        )
        for side, (events, count) in zip(("right", "wrong"), told, strict=True)
    ]
    return Known(*(Item(prompt, 0, joints, fps) for prompt in prompts))


def _together(clips: Clips, fps: float, rng: Random, name: str) -> Known:
    events = _drawn(clips, rng, rng.choice((2, 2, 3)))
    others = _strangers([EVENTS[event] for event in events], sorted(clips))
    if len(others) < 2:
        raise UserError(
            f"validation: the data's clips show {', '.join(sorted(clips))}; four events that do not share anything are "
            "needed, so that a prompt can tell two that do not happen."
        )
    joints = _joined(clips, events, rng)
    return _known(
        "integrity",
        name,
        joints,
        fps,
        ((events, 1), (rng.sample(others, min(len(events), len(others))), 1)),
        rng,
    )


def _in_order(clips: Clips, fps: float, rng: Random, name: str) -> Known:
    events = _drawn(clips, rng, 2)
    joints = _joined(clips, events, rng)
    return _known("temporal", name, joints, fps, ((events, 1), (events[::-1], 1)), rng)


def _repeated(clips: Clips, fps: float, rng: Random, name: str) -> Known:
    once = {
        event: [clip for what, clip in there if what.whole]
        for event, there in clips.items()
        if EVENTS[event].countable
    }
    usable = sorted(event for event, there in once.items() if there)
    if not usable:
        raise UserError("validation: no kind of motion shows an event that can be counted, once a clip.")
    event, times = rng.choice(usable), rng.choice(_TIMES)
    clip = rng.choice(once[event]).double()
    joints = (repeated(clip, times) if stands(clip) else join([clip] * times)).float().numpy()
    wrong = rng.choice([number for number in _TIMES if number != times])
    return _known("frequency", name, joints, fps, (([event], times), ([event], wrong)), rng)


_MAKERS: Mapping[Kind, Callable[[Clips, float, Random, str], Known]] = {
    "integrity": _together,
    "temporal": _in_order,
    "frequency": _repeated,
}
