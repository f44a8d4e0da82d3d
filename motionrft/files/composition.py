"""Composed clips: what one clip shows and then what another shows, or one thing several times, with the words for it.

Single clips never say in which order or how often things happen. Here recorded clips are joined into motions of two
events (in both orders), of three (in two orders) and of one event once, twice and three times; the clips of such a group
differ in nothing but order or number, so they are each other's hardest negatives. Gestures are also laid over a walk, two
in turn over each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from random import Random
from typing import Any
from zlib import crc32

from motionrft.files.composed_texts import (
    COUNT_WORDS,
    Clause,
    clause_of,
    count_texts,
    pair_texts,
    three_texts,
    together_texts,
    unmannered,
    unnumbered,
    without_standing,
)
from motionrft.representations.join import BLEND

_OTHER_ORDERS = ((1, 2, 0), (2, 0, 1), (2, 1, 0))
"""Of three events: what begins comes later in each, and what ends comes sooner."""


@dataclass(frozen=True)
class CompositionRecipe:
    """How much is composed, of what.

    pairs, counts: groups in each split: two orders of two events; one event once, twice and three times.
    threes: groups in each split: three events, in two orders.
    even: the same twice over, in groups whose motions are all equally long, see `motionrft.files.even_groups`.
    cut: kinds of motion (label column `content`) of which a part is still the same kind, such as walking: longer
        clips are cut to `longest`. They have no number: a walk repeated is a longer walk.
    together: groups in each split: one body (`bodies`, kinds that leave the arms free) under the arms of two
        gestures (`gestures`) in turn.
    subjects: who captions are told of that say no more than that someone is a person, one drawn for each; none: as told.
    held_out: share of the pairs of kinds that are composed in the test split alone.
    longest: frames of a clip in a pair; of one that is repeated it is two thirds.
    """

    pairs: Mapping[str, int]
    counts: Mapping[str, int]
    threes: Mapping[str, int] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()
    together: Mapping[str, int] = field(default_factory=dict)
    bodies: frozenset[str] = frozenset()
    gestures: frozenset[str] = frozenset()
    held_out: float = 0.15
    longest: int = 100
    max_frames: int = 196
    blend: int = BLEND
    seed: int = 0
    even: Mapping[str, int] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """All of it, for JSON."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values}


@dataclass(frozen=True)
class Source:
    """A clip that may be part of a composed one. frames: of its joints; kind, style: what, in which manner.

    stands: it stays in place, its arms are what it shows (`motionrft.representations.together.stands`).
    """

    clip: str
    kind: str
    split: str
    frames: int
    captions: tuple[str, ...]
    style: str = ""
    stands: bool = True

    def clause(self, rng: Random) -> Clause:
        """One of its captions as a clause; `by_kind` leaves out whoever has none."""
        return rng.choice([clause for clause in map(clause_of, self.captions) if clause])


@dataclass(frozen=True)
class Composed:
    """A motion to be joined. parts: clips with the frames that are taken of each; label: events in their order.

    length: frames of joints that it is brought to, by slowing down and resting or by going faster; None: as joined.
    together: the arms of the second part lie over the first, instead of following it.
    rests: between a clip and its repetition are as many frames more as others overlap in.
    """

    clip: str
    group: str
    split: str
    label: str
    parts: tuple[tuple[str, int], ...]
    captions: tuple[str, ...]
    length: int | None = None
    together: bool = False
    rests: bool = False

    def frames(self, blend: int) -> int:
        """Frames of features: one fewer than of joints."""
        if self.length is not None:
            return self.length - 1
        if self.together:
            return self.parts[0][1] - 1
        seams = (len(self.parts) - 1) * blend
        return sum(taken for _, taken in self.parts) + (seams if self.rests else -seams) - 1


def compositions(sources: Sequence[Source], recipe: CompositionRecipe) -> Iterator[Composed]:
    """Every composed motion of the recipe, the same for the same sources and seed; fewer where clips run out."""
    for split in sorted({*recipe.pairs, *recipe.threes, *recipe.counts, *recipe.together}):
        usable = [source for source in sources if source.split == split]
        yield from _pairs(usable, recipe, split)
        yield from _threes(usable, recipe, split)
        yield from _counts(usable, recipe, split)
        yield from _together(usable, recipe, split)


def is_held_out(first: str, second: str, share: float) -> bool:
    """Whether two kinds meet in the test split alone, whatever their order; a function of their names."""
    low, high = sorted((first, second))
    return crc32(f"{low}+{high}".encode()) / 2**32 < share


def couples_of(kinds: Iterable[str], recipe: CompositionRecipe, split: str) -> list[tuple[str, str]]:
    """Every two kinds of motion that a split may see together: all in the test split, those not held out elsewhere."""
    return [
        couple
        for couple in combinations(sorted(kinds), 2)
        if split == "test" or not is_held_out(*couple, recipe.held_out)
    ]


def _pairs(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} pairs {split}")
    kinds = by_kind(sources, recipe, recipe.longest)
    couples = couples_of(kinds, recipe, split)
    if split == "test":  # half of them are pairs that training never saw together
        new = [couple for couple in couples if is_held_out(*couple, recipe.held_out)]
        couples = [couple for couple in couples if couple not in new] + new * max(
            1, len(couples) // max(len(new), 1)
        )
    for number in range(recipe.pairs.get(split, 0) if couples else 0):
        chosen = _of_one_style(rng.choice(couples), kinds, rng)
        clauses = clauses_of(chosen, rng)
        taken = [taken_of(source, recipe, recipe.longest) for source in chosen]
        if sum(taken) - recipe.blend > recipe.max_frames:
            continue
        group = f"{split}-pair-{number:04d}"
        for order in ((0, 1), (1, 0)):
            first, second = (clauses[place] for place in order)
            texts = pair_texts(first, second, rng, recipe.subjects)
            label = ">".join(chosen[place].kind for place in order)
            parts = tuple((chosen[place].clip, taken[place]) for place in order)
            yield Composed(f"{group}-{'ab'[order[0]]}", group, split, label, parts, texts)


def _of_one_style(names: Sequence[str], kinds: Mapping[str, Sequence[Source]], rng: Random) -> list[Source]:
    """A clip of each of these kinds, of the first one's style where there is one."""
    chosen = [rng.choice(kinds[names[0]])]
    for name in names[1:]:
        alike = [source for source in kinds[name] if source.style == chosen[0].style]
        chosen.append(rng.choice(alike or kinds[name]))
    return chosen


def _threes(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} threes {split}")
    longest = min(recipe.longest, (recipe.max_frames + 2 * recipe.blend) // 3)
    kinds = by_kind(sources, recipe, longest)
    couples = set(couples_of(kinds, recipe, split))
    threes = [told for told in combinations(sorted(kinds), 3) if couples.issuperset(combinations(told, 2))]
    for number in range(recipe.threes.get(split, 0) if threes else 0):
        told = rng.sample(rng.choice(threes), 3)
        chosen = _of_one_style(told, kinds, rng)
        clauses = clauses_of(chosen, rng)
        group = f"{split}-three-{number:04d}"
        for place, order in zip("ab", ((0, 1, 2), rng.choice(_OTHER_ORDERS)), strict=True):
            label = ">".join(chosen[one].kind for one in order)
            parts = tuple((chosen[one].clip, taken_of(chosen[one], recipe, longest)) for one in order)
            texts = three_texts([clauses[one] for one in order], rng, recipe.subjects)
            yield Composed(f"{group}-{place}", group, split, label, parts, texts)


def _counts(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} counts {split}")
    kinds = countable(sources, recipe)
    for number in range(recipe.counts.get(split, 0) if kinds else 0):
        source = rng.choice(kinds[rng.choice(sorted(kinds))])
        clause, taken = source.clause(rng), source.frames
        group = f"{split}-count-{number:04d}"
        for times, words in COUNT_WORDS.items():
            parts, label = ((source.clip, taken),) * times, f"{source.kind}*{times}"
            made = Composed(f"{group}-{times}", group, split, label, parts, (), rests=source.stands)
            if made.frames(recipe.blend) >= recipe.max_frames:
                break
            yield replace(made, captions=count_texts(clause, words, rng, recipe.subjects))


def _together(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} together {split}")
    bodies = [s for s in sources if s.kind in recipe.bodies and any(map(clause_of, s.captions))]
    free = [
        replace(source, captions=without_standing(source.captions))
        for source in sources
        if source.kind in recipe.gestures and source.stands
    ]
    gestures = by_kind(free, recipe, recipe.max_frames)
    for number in range(recipe.together.get(split, 0) if bodies else 0):
        body, group = rng.choice(bodies), f"{split}-together-{number:04d}"
        taken = min(body.frames, recipe.max_frames)
        whole = {kind: [one for one in found if one.frames <= taken] for kind, found in gestures.items()}
        kinds = sorted(kind for kind, found in whole.items() if found)
        if len(kinds) < 2:
            continue
        told = body.clause(rng)
        for place, kind in zip("ab", rng.sample(kinds, 2), strict=True):
            gesture = rng.choice(whole[kind])
            arms = gesture.clause(rng)
            clause = told if body.style == gesture.style else unmannered(told)
            texts = together_texts(clause, arms, rng, recipe.subjects)
            parts = ((body.clip, taken), (gesture.clip, gesture.frames))
            yield Composed(
                f"{group}-{place}", group, split, f"{body.kind}+{kind}", parts, texts, together=True
            )


def clauses_of(chosen: Sequence[Source], rng: Random) -> list[Clause]:
    """A clause of each of several clips that one subject does: its manner is told where it is that of all."""
    clauses = [source.clause(rng) for source in chosen]
    alike = len({source.style for source in chosen}) == 1
    return clauses if alike else [unmannered(clause) for clause in clauses]


def by_kind(sources: Sequence[Source], recipe: CompositionRecipe, longest: int) -> dict[str, list[Source]]:
    """The sources that fit, by kind."""
    kinds: dict[str, list[Source]] = {}
    for source in sources:
        fits = source.frames <= longest or source.kind in recipe.cut
        if fits and source.frames > 2 * recipe.blend and any(map(clause_of, source.captions)):
            kinds.setdefault(source.kind, []).append(source)
    return kinds


def countable(sources: Sequence[Source], recipe: CompositionRecipe) -> dict[str, list[Source]]:
    """Those that can be done once, twice and three times, by kind: a walk is not, nor what was done twice already."""
    single = [
        replace(source, captions=unnumbered(source.captions))
        for source in sources
        if source.kind not in recipe.cut
    ]
    return by_kind(single, recipe, recipe.longest * 2 // 3)


def taken_of(source: Source, recipe: CompositionRecipe, longest: int) -> int:
    """Frames of a source that are joined: a kind that may be cut is, to `longest`."""
    return min(source.frames, longest) if source.kind in recipe.cut else source.frames
