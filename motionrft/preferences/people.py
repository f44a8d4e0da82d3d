"""People as the judge: the study page shows candidates in pairs, and what they vote becomes preference pairs.

A vote is about two motions side by side, so nothing is scored alone: each prompt's candidates meet in pairs, no candidate
twice, and the share of votes for one of them is how much better it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from motionrft.errors import UserError
from motionrft.preferences.candidates import Candidates
from motionrft.preferences.pairs import Pair
from motionrft.preferences.prompts import EventPrompt
from motionrft.report.study import StudyPair, read_votes, write_study

STUDY, RATINGS = "study.html", "ratings"
"""The page, and the folder that raters' files are put into."""


@dataclass(frozen=True)
class Meeting:
    """Two candidates of a prompt that are shown side by side."""

    prompt: EventPrompt
    first: int
    second: int


def meetings(prompts: Sequence[EventPrompt], usable: dict[str, list[int]], per_prompt: int) -> list[Meeting]:
    """At most `per_prompt` pairs of each prompt's usable candidates; the same whenever it is asked."""
    return [
        Meeting(prompt, first, second)
        for prompt in prompts
        for first, second in list(_in_twos(usable.get(prompt.id, [])))[:per_prompt]
    ]


def write_page(out: Path, shown: Sequence[Meeting], held: dict[str, Candidates], seed: int) -> Path:
    """The raters' page of these meetings; its key lies beside it and is not sent."""
    pairs = [
        StudyPair(
            each.prompt.text, *(_clip(held[each.prompt.id], place) for place in (each.first, each.second))
        )
        for each in shown
    ]
    fps = next(iter(held.values())).fps
    return write_study(out / STUDY, pairs, ("first", "second"), seed, fps)[0]


def pairs_voted(out: Path, shown: Sequence[Meeting], margin: float) -> list[Pair]:
    """Pairs of the meetings that raters agree on: the difference of both shares of votes is at least `margin`.

    Raises:
        UserError: no ratings yet, or some of another page.
    """
    files = sorted((out / RATINGS).glob("*.json"))
    if not files:
        raise UserError(
            f"{out / RATINGS}: no ratings yet. Send {out / STUDY} to raters, put the files that they save there, and go "
            "on with --resume --stage pairs."
        )
    found = []
    for place, votes in sorted(read_votes(files, (out / STUDY).with_suffix(".key.json")).items()):
        each, share = shown[place], fmean(votes)
        better, worse = (each.second, each.first) if share > 0.5 else (each.first, each.second)
        difference = abs(2 * share - 1)
        if difference > 0 and difference >= margin:
            found.append(Pair(each.prompt, better, worse, round(difference, 6)))
    return found


def _in_twos(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(places[0::2], places[1::2], strict=False)


def _clip(held: Candidates, place: int) -> np.ndarray:
    return held.joints[place][: held.lengths[place]]
