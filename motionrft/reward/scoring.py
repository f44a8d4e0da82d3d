"""Judging motions one by one: what `motionrft score` shows. Streams: a few motions at a time, in order."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from motionrft.data import pad
from motionrft.errors import UserError
from motionrft.files import FileFault, Motion
from motionrft.physics import COSTS, current_name, current_names, physics_curves, physics_terms
from motionrft.representations.convert import convert
from motionrft.representations.joints import resample_linear
from motionrft.representations.kinematic import normalise_joints
from motionrft.reward.base import Learnt
from motionrft.reward.motionreward.motionreward import SHARED_TERMS, MotionReward
from motionrft.reward.quantiles import percentile

Term = str
_GROUP = 16
"""Motions judged at once: enough to be quick, few enough that the first score comes soon."""
_SAME_RATE = 0.1
"""Frames per second that do not count as another rate."""


@dataclass(frozen=True)
class Query:
    """A motion and what it shall show; text None where nobody said."""

    motion: Motion
    text: str | None = None


@dataclass(frozen=True)
class Score:
    """What was found about one motion.

    scores: raw terms by name; None where the term has nothing to compare with (no text) or too few frames.
    percentiles: per cent of the reward's training clips that are worse, for the terms it has a table of.
    curves: physics terms per frame, where asked for.
    """

    query: Query
    scores: dict[Term, float | None]
    percentiles: dict[Term, float] = field(default_factory=dict)
    curves: dict[Term, list[float]] = field(default_factory=dict)


def choose_terms(words: Sequence[str] | None, reward: Learnt | None) -> list[Term]:
    """The terms that words such as `semantic` or `physics` stand for; None: all there are.

    Raises:
        UserError: nothing provides one of them.
    """
    learnt = [] if reward is None else [name for name in reward.terms if name != "similarity"]
    if words is None:
        return [*learnt, *COSTS]
    chosen: list[Term] = []
    for word in map(current_name, words):
        if word != "physics" and word not in COSTS and word not in learnt:
            known = ", ".join([*learnt, "physics", *COSTS])
            raise UserError(f"--terms {word}: this reward does not give it. There are: {known}.")
        chosen += [name for name in (COSTS if word == "physics" else (word,)) if name not in chosen]
    return chosen


class Scorer:
    """Judges motions with a reward and with physics.

    Args:
        reward: or None, for physics alone.
        terms: from `choose_terms`.
        curves: keep physics per frame.
    """

    def __init__(self, reward: Learnt | None, terms: Sequence[Term], curves: bool = False) -> None:
        self.reward, self.curves = reward, curves
        self.learnt = [name for name in terms if name not in COSTS]
        self.physics = [name for name in terms if name in COSTS]
        self.terms = list(terms)
        if self.learnt and reward is None:
            raise UserError(f"{self.learnt[0]} needs a reward; name one with --reward")
        about = getattr(reward, "about", {})
        self.fps, self.quantiles = float(about.get("fps", 20.0)), current_names(about.get("quantiles", {}))

    def score(self, queries: Iterable[Query | FileFault]) -> Iterator[Score | FileFault]:
        """Scores in the order of the queries. Faults pass through; a motion that cannot be judged becomes one."""
        stream = iter(queries)
        while group := list(islice(stream, _GROUP)):
            yield from self._score_group(group)

    @torch.no_grad()
    def _score_group(self, group: Sequence[Query | FileFault]) -> list[Score | FileFault]:
        prepared: list[_Prepared | FileFault] = []
        for query in group:
            prepared.append(self._prepare(query) if isinstance(query, Query) else query)
        good = [item for item in prepared if isinstance(item, _Prepared)]
        if self.learnt:
            for name in sorted({item.representation for item in good}):
                self._fill_learnt([item for item in good if item.representation == name], name)
        return [self._finish(item) if isinstance(item, _Prepared) else item for item in prepared]

    def _prepare(self, query: Query) -> "_Prepared | FileFault":
        motion = query.motion
        try:
            array = torch.from_numpy(motion.array).float()
            joints = _as_joints(array, motion.representation)
            if motion.source.suffix.lower() == ".bvh":
                # A studio's floor is at any height: physics needs the canonical one.
                joints = normalise_joints(joints[None])[0]
            if not self.learnt:
                return _Prepared(query, joints, array, motion.representation)
            array, name = self._as_reward_reads(array, joints, motion)
            return _Prepared(query, joints, array, name)
        except UserError as error:
            return FileFault(motion.source, f"{motion.source}: {error}")

    def _as_reward_reads(self, array: Tensor, joints: Tensor, motion: Motion) -> tuple[Tensor, str]:
        """The motion as the reward can judge it, at its frame rate: in its own representation where possible."""
        name = motion.representation
        if abs(motion.fps - self.fps) > _SAME_RATE:
            joints, name = resample_linear(joints, motion.fps, self.fps), "joints"
        if name == "joints":
            array = normalise_joints(joints[None])[0].flatten(1)
        assert self.reward is not None
        size = self.reward.network.size if isinstance(self.reward, MotionReward) else None
        if size is not None and name not in size.representations:
            target = size.representations[0]
            array, name = convert(array[None], name, target)[0].flatten(1), target
        longest = self.reward.max_frames
        if longest is not None and len(array) > longest:
            raise UserError(f"{len(array)} frames; this reward reads at most {longest}. Cut it into clips.")
        fits = joints.shape[-2] == 22 if size is None else array.shape[-1] == size.feature_width(name)
        if not fits:
            raise UserError(f"a {name} motion with {array.shape[-1]} values; this reward knows 22 joints.")
        return array, name

    def _fill_learnt(self, items: Sequence["_Prepared"], representation: str) -> None:
        """Fill in the learnt terms of motions in one representation."""
        assert self.reward is not None
        reward = self.reward
        device = next(reward.parameters(), torch.empty(0)).device  # code of one's own has no weights
        motion, lengths = pad([item.motion for item in items])
        texts = [item.query.text or "" for item in items]
        reward.expect(representation)
        condition = reward.prepare(texts)
        _, terms = reward(motion.to(device), lengths.to(device), condition)
        for row, item in enumerate(items):
            for name in self.learnt:
                no_text = name in SHARED_TERMS and item.query.text is None
                item.scores[name] = None if no_text else float(terms[name][row])

    def _finish(self, item: "_Prepared") -> Score:
        lengths = torch.tensor([len(item.joints)])
        fps = item.query.motion.fps
        curves: dict[Term, list[float]] = {}
        if self.physics:
            terms = physics_terms(item.joints[None], lengths, fps, self.physics, missing=math.nan)
            item.scores.update(
                {name: None if value.isnan() else float(value) for name, value in terms.items()}
            )
        if self.curves and self.physics:
            found = physics_curves(item.joints[None], lengths, fps, self.physics)
            curves = {name: curve[0].tolist() for name, curve in found.items()}
        scores = {name: item.scores[name] for name in self.terms}
        return Score(item.query, scores, self._percentiles(scores), curves)

    def _percentiles(self, scores: dict[Term, float | None]) -> dict[Term, float]:
        result = {}
        for name, value in scores.items():
            if value is not None and name in self.quantiles:
                below = percentile(value, self.quantiles[name])
                result[name] = 100.0 - below if name in COSTS else below
        return result


@dataclass
class _Prepared:
    """A query with its joints (T, J, 3), and the motion (T, F) as the reward judges it."""

    query: Query
    joints: Tensor
    motion: Tensor
    representation: str
    scores: dict[Term, float | None] = field(default_factory=dict)


def _as_joints(array: Tensor, representation: str) -> Tensor:
    if representation == "joints":
        return array.unflatten(-1, (-1, 3)) if array.dim() == 2 else array
    return convert(array[None], representation, "joints")[0]


@dataclass(frozen=True)
class Limits:
    """The linter's thresholds by term.

    under: a score below it fails. over: a score above it fails.
    """

    under: dict[Term, float]
    over: dict[Term, float]

    def broken(self, score: Score) -> list[str]:
        """What is wrong with a motion, in words; empty if nothing is. A score that could not be had fails too."""
        found = []
        for name, limit in self.under.items():
            value = score.scores[name]
            if value is None or not value >= limit:
                found.append(f"{name} {_shown(value)} is under {limit:g}")
        for name, limit in self.over.items():
            value = score.scores[name]
            if value is None or not value <= limit:
                found.append(f"{name} {_shown(value)} is over {limit:g}")
        return found

    def check(self, terms: Sequence[Term]) -> None:
        """Raises `UserError` for a limit on a term that is not scored."""
        for name in (*self.under, *self.over):
            if name not in terms:
                raise UserError(
                    f"there is a limit on {name}, which is not scored; scored are {', '.join(terms)}"
                )


def _shown(value: float | None) -> str:
    return "unknown (no text, or too few frames)" if value is None else f"{value:.4g}"
