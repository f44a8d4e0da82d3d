"""Judging motions one by one: what `motionrft score` shows. Streams: a few motions at a time, in order.

One road for every file: a motion is brought to the reward's rate, physics sees its joints on the floor, and the reward
judges one representation, whatever the file holds.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from motionrft.data import pad
from motionrft.errors import UserError
from motionrft.files import FileFault, Motion
from motionrft.files.physical import SAME_RATE, physical_joints
from motionrft.physics import CHECKS, COSTS, current_name, physics_curves, physics_terms
from motionrft.representations.convert import convert
from motionrft.representations.kinematic import normalise_joints
from motionrft.reward.base import Learnt
from motionrft.reward.known import FAR, activity, text_place
from motionrft.reward.motionreward.motionreward import CONTRAST, SHARED_TERMS, MotionReward
from motionrft.reward.opposites import unsaid
from motionrft.reward.quantiles import HeldOut, percentile

Term = str
PHYSICS = (*COSTS, *CHECKS)
OWN = "own"
"""As the representation to judge in: that of each file."""
_GROUP = 16
"""Motions judged at once: enough to be quick, few enough that the first score comes soon."""
_USUAL_FPS = 20.0


@dataclass(frozen=True)
class Query:
    """A motion and what it shall show; text None where nobody said."""

    motion: Motion
    text: str | None = None


@dataclass(frozen=True)
class Score:
    """What was found about one motion.

    scores: raw terms by name; None where the term has nothing to compare with (no text) or too few frames.
    percentiles: per cent of real clips that are worse, for the terms the reward has a table of.
    distances: of `text` and `motion` from what the reward was trained on, where it knows; beyond `known.FAR` it guesses.
    curves: physics terms per frame, where asked for.
    remarks: what a person should know of how the motion was read.
    """

    query: Query
    scores: dict[Term, float | None]
    percentiles: dict[Term, float] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)
    curves: dict[Term, list[float]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def far(self, what: str) -> bool:
        """Whether its `text` or `motion` is so far from what the reward was trained on that the reward guesses."""
        return self.distances.get(what, 0.0) > FAR


def choose_terms(words: Sequence[str] | None, reward: Learnt | None) -> list[Term]:
    """The terms that words such as `semantic` or `physics` stand for; None: all there are.

    Raises:
        UserError: nothing provides one of them.
    """
    learnt = [] if reward is None else [name for name in reward.terms if name != "similarity"]
    if words is None:
        return [*learnt, *PHYSICS]
    learnt += [] if reward is None else reward.asked
    chosen: list[Term] = []
    for word in map(current_name, words):
        if word != "physics" and word not in PHYSICS and word not in learnt:
            known = ", ".join([*learnt, "physics", *PHYSICS])
            raise UserError(f"--terms {word}: this reward does not give it. There are: {known}.")
        chosen += [name for name in (PHYSICS if word == "physics" else (word,)) if name not in chosen]
    return chosen


def weigh(reward: Learnt, words: Sequence[str] | None) -> None:
    """Have a reward give the terms of these words, or all that it always has, each with weight 1."""
    wanted = reward.terms if words is None else [n for n in (*reward.terms, *reward.asked) if n in words]
    reward.weigh(dict.fromkeys(wanted, 1.0))


@dataclass
class _Prepared:
    """A query with its joints (T, J, 3) on the floor, and the motion (T, F) as the reward judges it."""

    query: Query
    joints: Tensor
    motion: Tensor
    representation: str
    remarks: list[str]
    scores: dict[Term, float | None] = field(default_factory=dict)
    distances: dict[str, float] = field(default_factory=dict)


class Scorer:
    """Judges motions with a reward and with physics.

    Args:
        reward: or None, for physics alone.
        terms: from `choose_terms`.
        curves: keep physics per frame.
        representation: that the reward judges: a name, `own` for each file's own, None for what the reward expects.
        fps: at which physics is measured; None: the reward's, or 20.
    """

    def __init__(
        self,
        reward: Learnt | None,
        terms: Sequence[Term],
        curves: bool = False,
        representation: str | None = None,
        fps: float | None = None,
    ) -> None:
        self.reward, self.curves, self.terms = reward, curves, list(terms)
        self.learnt = [name for name in terms if name not in PHYSICS]
        self.physics = [name for name in terms if name in PHYSICS]
        if self.learnt and reward is None:
            raise UserError(f"{self.learnt[0]} needs a reward; name one with --reward")
        about = getattr(reward, "about", {})
        self.reward_fps = float(about.get("fps", _USUAL_FPS))
        self.fps = self.reward_fps if fps is None else fps
        self.held_out = HeldOut.of_reward(about)
        self.representation = representation or ("" if reward is None else reward.representation)

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
                self._judge([item for item in good if item.representation == name], name)
        return [self._finish(item) if isinstance(item, _Prepared) else item for item in prepared]

    def _prepare(self, query: Query) -> "_Prepared | FileFault":
        motion = query.motion
        try:
            physical = physical_joints(motion, self.fps)
            judged, name = self._judgeable(motion) if self.learnt else (physical.joints, "joints")
            remarks = [physical.remark] if physical.remark else []
            return _Prepared(query, physical.joints, judged, name, remarks)
        except UserError as error:
            return FileFault(motion.source, f"{motion.source}: {error}")

    def _judgeable(self, motion: Motion) -> tuple[Tensor, str]:
        """(T, F) the motion as the reward judges it, at its rate, and in which representation.

        A file that holds that representation at that rate is judged as it is; from any other it is made from joints.
        """
        assert self.reward is not None
        wanted = motion.representation if self.representation == OWN else self.representation
        size = self.reward.network.size if isinstance(self.reward, MotionReward) else None
        if size is not None and wanted not in size.representations:
            wanted = size.representations[0]
        if wanted == motion.representation != "joints" and abs(motion.fps - self.reward_fps) <= SAME_RATE:
            array = torch.from_numpy(motion.array)
        else:
            joints = normalise_joints(physical_joints(motion, self.reward_fps).joints[None])
            array = convert(joints, "joints", wanted)[0].flatten(1)
        longest = self.reward.max_frames
        if longest is not None and len(array) > longest:
            raise UserError(
                f"{len(array)} frames; this reward reads at most {longest}. Cut it: --split-long 10."
            )
        if size is not None and array.shape[-1] != size.feature_width(wanted):
            raise UserError(f"a {wanted} motion with {array.shape[-1]} values; this reward knows 22 joints.")
        return array, wanted

    def _judge(self, items: Sequence[_Prepared], representation: str) -> None:
        """Fill in the learnt terms, and the distances, of motions in one representation."""
        reward = self.reward
        assert reward is not None
        device = next(reward.parameters(), torch.empty(0)).device  # code of one's own has no weights
        motion, lengths = (values.to(device) for values in pad([item.motion for item in items]))
        texts = [item.query.text or "" for item in items]
        reward.expect(representation)
        _, terms = reward(motion, lengths, reward.prepare(texts))
        for row, item in enumerate(items):
            for name in self.learnt:
                item.scores[name] = None if _nothing_to_compare(name, item.query) else float(terms[name][row])
        if isinstance(reward, MotionReward) and reward.known is not None:
            _measure_distances(reward, items, motion, lengths)

    def _finish(self, item: _Prepared) -> Score:
        lengths, joints = torch.tensor([len(item.joints)]), item.joints[None]
        if self.physics:
            terms = physics_terms(joints, lengths, self.fps, self.physics, missing=math.nan)
            item.scores.update({name: None if v.isnan() else float(v) for name, v in terms.items()})
        curves: dict[Term, list[float]] = {}
        if self.curves and self.physics:
            found = physics_curves(joints, lengths, self.fps, self.physics)
            curves = {name: curve[0].tolist() for name, curve in found.items()}
        scores = {name: item.scores[name] for name in self.terms}
        ranks = self._percentiles(scores)
        return Score(item.query, scores, ranks, item.distances, curves, tuple(item.remarks))

    def _percentiles(self, scores: dict[Term, float | None]) -> dict[Term, float]:
        result = {}
        for name, value in scores.items():
            comparable = name in self.learnt or self.fps == self.reward_fps
            if value is not None and comparable and name in self.held_out.quantiles:
                below = percentile(value, self.held_out.quantiles[name])
                result[name] = 100.0 - below if name in PHYSICS else below
        return result


def _nothing_to_compare(name: Term, query: Query) -> bool:
    """Whether a term compares with a text, and there is none, or none that could be told otherwise."""
    if name == CONTRAST:
        return not unsaid(query.text or "")
    return name in SHARED_TERMS and query.text is None


def _measure_distances(
    reward: MotionReward, items: Sequence[_Prepared], motion: Tensor, lengths: Tensor
) -> None:
    """How far texts and motions (B, T, F) are from those that the reward was trained on."""
    assert reward.known is not None
    if reward.representation == reward.known_in:
        normalised = reward.normalise(motion.flatten(2), lengths, reward.representation)
        for item, distance in zip(
            items, reward.known.motion_distance(activity(normalised, lengths)), strict=True
        ):
            item.distances["motion"] = float(distance)
    told = [item for item in items if item.query.text is not None]
    if told and "semantic" in reward.weights:
        features = reward.text_encoder.encode([str(item.query.text) for item in told])
        for item, distance in zip(told, reward.known.text_distance(text_place(features)), strict=True):
            item.distances["text"] = float(distance)
