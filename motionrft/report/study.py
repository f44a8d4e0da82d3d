"""A user study in one file: raters compare two motions of a prompt blindly, and their answers become a table.

    page, key = write_study("study.html", [StudyPair("a person waves", before, after), ...], seed=7)
    # send the page to raters, keep the key, collect the JSON files that the page lets them save
    result = read_ratings(["anna.json", "ben.json"], key)
    print(result.markdown())

Sides and order are drawn from the seed. Which side is which stands only in the key, never in the page.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.errors import UserError
from motionrft.intervals import Interval, wilson
from motionrft.parsing import parsing, read_json
from motionrft.pictures.body import check_joints
from motionrft.pictures.camera import framing
from motionrft.pictures.page import (
    STAGE_SCRIPTS,
    asset,
    clip_data,
    fill,
    limbs_data,
    page,
    scene_data,
    themes_data,
)
from motionrft.pictures.video import follow
from motionrft.plurals import counted
from motionrft.report.numbers import number
from motionrft.training import atomic

ASPECTS = {
    "adherence": "Which one does what the text says?",
    "realism": "Which one moves more like a real person?",
    "coherence": "Which one is smoother, without jumps or sliding?",
}
SCORES = {"left": 0.0, "same": 0.5, "right": 1.0}  # how far an answer prefers the right side


@dataclass(frozen=True)
class StudyPair:
    """A prompt and the two motions to compare, each (T, 22, 3) metres; `first` and `second` as in `systems`."""

    text: str
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class AspectResult:
    """Answers to one question, from the second system's side.

    Attributes:
        wins, ties, losses: answers for the second system, for neither, for the first.
        preference: share of the second system, ties counted half; Wilson interval whose count is the prompts, not
            the answers, because answers to one prompt are not independent.
        agreement: share of pairs of raters who gave one prompt the same answer; None with one rater.
    """

    aspect: str
    wins: int
    ties: int
    losses: int
    preference: Interval
    agreement: float | None


@dataclass(frozen=True)
class StudyResult:
    """What the raters said."""

    systems: tuple[str, str]
    raters: int
    pairs: int
    aspects: tuple[AspectResult, ...]

    def markdown(self) -> str:
        """The table as Markdown."""
        first, second = self.systems
        counts = f"{counted(self.raters, 'rater')}, {counted(self.pairs, 'pair')}"
        head = f"| {counts} | {second} | equal | {first} | prefer {second}, 95 % | agreement |"
        lines = [head, "|" + " --- |" * 6]
        for one in self.aspects:
            low, high = one.preference.low, one.preference.high
            span = (
                "" if low is None or high is None else f" ({number(100 * low, 0)} to {number(100 * high, 0)})"
            )
            agreed = "" if one.agreement is None else f"{number(100 * one.agreement, 0)} %"
            share = f"{number(100 * one.preference.mean, 0)} %{span}"
            lines.append(f"| {one.aspect} | {one.wins} | {one.ties} | {one.losses} | {share} | {agreed} |")
        return "\n".join(lines)


def write_study(
    path: str | Path,
    pairs: Sequence[StudyPair],
    systems: tuple[str, str] = ("before", "after"),
    seed: int = 0,
    fps: float = 20.0,
    title: str = "Which motion is better?",
) -> tuple[Path, Path]:
    """Write the raters' page and, beside it, the key that must not be sent to them.

    Args:
        path: of the page; the key is written as the same name with `.key.json`.
        pairs: what to compare.
        systems: names of the two sources, for the key and the table only.
        seed: draws sides and order.

    Returns:
        The two paths.

    Raises:
        UserError: no pairs, or a motion that cannot be drawn.
    """
    if not pairs:
        raise UserError("A study needs at least one pair of motions.")
    draw = random.Random(seed)
    swapped = [draw.random() < 0.5 for _ in pairs]
    order = draw.sample(range(len(pairs)), len(pairs))
    study = _identity(pairs, systems, seed)
    shown = [_page_pair(pairs[i], swapped[i], f"{study}-{place}", fps) for place, i in enumerate(order)]
    sides = {f"{study}-{place}": ("second" if swapped[i] else "first") for place, i in enumerate(order)}
    texts = {f"{study}-{place}": pairs[i].text for place, i in enumerate(order)}
    places = {f"{study}-{place}": i for place, i in enumerate(order)}
    key = {
        "study": study,
        "systems": list(systems),
        "seed": seed,
        "left": sides,
        "texts": texts,
        "pairs": places,
    }
    path = Path(path)
    key_path = path.with_suffix(".key.json")
    atomic.write_text(path, _page(title, study, shown))
    atomic.write_text(key_path, json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    return path, key_path


def _identity(pairs: Sequence[StudyPair], systems: tuple[str, str], seed: int) -> str:
    """A name for this study that ties ratings to their key and says nothing about the sides."""
    digest = hashlib.sha256(json.dumps([systems, seed, [pair.text for pair in pairs]]).encode())
    for pair in pairs:
        for motion in (pair.first, pair.second):
            digest.update(np.ascontiguousarray(motion, dtype=np.float32).tobytes())
    return digest.hexdigest()[:12]


def _page_pair(pair: StudyPair, swap: bool, name: str, fps: float) -> dict[str, Any]:
    motions = [check_joints(motion, f"prompt {pair.text!r}") for motion in (pair.first, pair.second)]
    # Framed before the sides are drawn: the point of view must not give them away.
    scene = framing(motions, [follow(motion[:, 0]) for motion in motions])
    left, right = reversed(motions) if swap else motions
    clips = [clip_data(left, fps, "A"), clip_data(right, fps, "B")]
    return {"id": name, "text": pair.text, "clips": clips, "scene": scene_data(scene)}


def _page(title: str, study: str, shown: list[dict[str, Any]]) -> str:
    data = {
        "bodies": limbs_data(),
        "themes": themes_data(),
        "study": study,
        "pairs": shown,
        "aspects": ASPECTS,
    }
    body = fill(asset("study.html"), title=escape(title), player=asset("player.html"))
    return page(title, body, data, ("base.css", "study.css"), (*STAGE_SCRIPTS, "study.js"))


def read_ratings(files: Sequence[str | Path], key: str | Path) -> StudyResult:
    """Read the raters' files against the key.

    Raises:
        UserError: no file, one that is not a rating of this study, an answer that is none, or a rater twice.
    """
    legend = _read(key, ("study", "systems", "left"))
    answers = _all_answers(files, legend)
    with parsing(key, "the key of a user study"):
        results = tuple(_aspect(aspect, answers, legend["left"]) for aspect in ASPECTS)
        first, second = legend["systems"]
    rated = {pair for given in answers.values() for pair in given}
    return StudyResult((str(first), str(second)), len(answers), len(rated), results)


def read_votes(
    files: Sequence[str | Path], key: str | Path, aspect: str = "adherence"
) -> dict[int, list[float]]:
    """Each rater's answer to one question, by the place of the pair among those given to `write_study`.

    Returns:
        0 for the first motion of the pair, 1 for the second, 0.5 for neither.

    Raises:
        UserError: as `read_ratings`; or a key of an older page, which does not say the places.
    """
    legend = _read(key, ("study", "systems", "left", "pairs"))
    votes: dict[int, list[float]] = {}
    for given in _all_answers(files, legend).values():
        for pair, answer in given.items():
            score = SCORES[answer[aspect]]
            side = legend["left"][pair]
            votes.setdefault(int(legend["pairs"][pair]), []).append(
                1.0 - score if side == "second" else score
            )
    return votes


def _all_answers(
    files: Sequence[str | Path], legend: Mapping[str, Any]
) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Every rater's answers by pair."""
    if not files:
        raise UserError("There are no ratings to read: give the JSON files that raters saved.")
    answers: dict[str, dict[str, Mapping[str, Any]]] = {}
    for file in files:
        with parsing(file, "ratings of a user study"):
            _add_rater(answers, _read(file, ("study", "rater", "answers")), legend, file)
    return answers


def _add_rater(
    answers: dict[str, dict[str, Mapping[str, Any]]],
    rating: Mapping[str, Any],
    legend: Mapping[str, Any],
    file: str | Path,
) -> None:
    if rating["study"] != legend["study"]:
        raise UserError(f"{file}: rates study {rating['study']}, but the key is of study {legend['study']}.")
    if rating["rater"] in answers:
        raise UserError(
            f"{file}: rater {rating['rater']!r} was already read from another file; give each rater once."
        )
    answers[rating["rater"]] = _answers(rating, legend, file)


def _read(file: str | Path, fields: Sequence[str]) -> dict[str, Any]:
    content = read_json(file)
    missing = [field for field in fields if field not in content]
    if missing:
        raise UserError(f"{file}: is not a file of a user study; it lacks {', '.join(missing)}.")
    return content


def _answers(
    rating: Mapping[str, Any], legend: Mapping[str, Any], file: str | Path
) -> dict[str, Mapping[str, Any]]:
    given = {}
    for answer in rating["answers"]:
        pair = answer.get("pair")
        if pair not in legend["left"]:
            raise UserError(f"{file}: rates pair {pair!r}, which the key does not know.")
        for aspect in ASPECTS:
            if answer.get(aspect) not in SCORES:
                legal = ", ".join(SCORES)
                raise UserError(
                    f"{file}: pair {pair}, {aspect}: {answer.get(aspect)!r} is no answer; legal are {legal}."
                )
        given[pair] = answer
    if not given:
        raise UserError(f"{file}: holds no answers.")
    return given


def _aspect(
    aspect: str, answers: Mapping[str, Mapping[str, Mapping[str, Any]]], left: Mapping[str, str]
) -> AspectResult:
    by_pair: dict[str, list[float]] = {}
    for given in answers.values():
        for pair, answer in given.items():
            score = SCORES[answer[aspect]]
            # The right side holds the second system unless the key says that the left one does.
            by_pair.setdefault(pair, []).append(1.0 - score if left[pair] == "second" else score)
    scores = [score for pair_scores in by_pair.values() for score in pair_scores]
    counts = (scores.count(1.0), scores.count(0.5), scores.count(0.0))
    preference = wilson(
        float(np.mean([np.mean(pair_scores) for pair_scores in by_pair.values()])), len(by_pair)
    )
    couples = [a == b for pair_scores in by_pair.values() for a, b in combinations(pair_scores, 2)]
    return AspectResult(aspect, *counts, preference, float(np.mean(couples)) if couples else None)
