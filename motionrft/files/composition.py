"""Composed clips: what one clip shows and then what another shows, or one thing several times, with the words for it.

Single clips never say in which order or how often things happen. Here recorded clips are joined into motions of two
events (in both orders) and of one event once, twice and three times; the clips of such a group differ in nothing but
order or number, so they are each other's hardest negatives. Gestures are also laid over a walk, two in turn over each.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from random import Random
from typing import Any
from zlib import crc32

from motionrft.representations.join import BLEND

PAIR_TEMPLATES = (
    "{subject} {first}, then {second}",
    "{subject} {first} and then {second}",
    "first {subject} {first}, then {second}",
    "{subject} {first} and after that {second}",
    "{subject} {first} before the person {second}",
    "after {subject} {first}, the person {second}",
)
BOTH_TEMPLATES = (
    "{subject} {first} and {second}",
    "{subject} {first}, and {second}",
    "{subject} {first} and also {second}",
)
"""Both are told, their order only by which comes first."""
COUNT_WORDS = {1: ("once", "one time"), 2: ("twice", "two times"), 3: ("three times", "thrice")}
COUNT_TEMPLATES = ("{subject} {first}, {times}", "{subject} {first} {times}")
TOGETHER_TEMPLATES = (
    "{subject} {first} while the person {second}",
    "{subject} {first} and at the same time {second}",
    "while {subject} {first}, the person {second}",
)

_NUMBERED = re.compile(
    r"\b(?:once|twice|thrice|again|repeatedly|continuously|over and over"
    r"|(?:a few|several|many|two|three|four|five|\d+) times)\b",
    re.IGNORECASE,
)
"""Of a clip that is said to do something several times, two are not twice."""
_STANDING = re.compile(r"\b(stands?|standing|still|in place|on the spot)\b", re.IGNORECASE)
_NOUN = (
    r"(?:person|figure|man|woman|human|someone|somebody|character|subject|individual|guy|boy|girl|lady|gentleman|child"
    r"|kid|adult|actor|actress|performer|dancer|player|athlete|avatar)"
)
_SUBJECT = (
    rf"(?:(?:an?|the|this|that|one|another)\s+(?:(?!of\b)[\w-]+\s+){{0,4}}?{_NOUN}(?:\s+{_NOUN})?"
    rf"|(?:someone|somebody)(?:\s+(?![\w-]*s\b)[\w-]+){{0,3}}|he|she|{_NOUN}(?:\s+{_NOUN})?)"
)
_PLAIN = re.compile(rf"(?:someone|somebody|he|she|(?:(?:a|the|this|that|one) )?{_NOUN})")
_NO_VERB = r"(?!\w*(?:ss|is|us|wards)\b|(?:was|has|as|its|sideways|always|sometimes|perhaps|besides)\b)"
"""Words that end in s and are no verb, or none of an event."""
_CLAUSE = re.compile(rf"^({_SUBJECT})\s+((?:[\w-]+ly\s+)?{_NO_VERB}[\w-]+s\b.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Clause:
    """A caption as who and what: `a person`, `raises the left hand`."""

    subject: str
    phrase: str


def unmannered(clause: Clause) -> Clause:
    """With a subject that tells no manner: `a person` for `an exhausted person`."""
    return clause if _PLAIN.fullmatch(clause.subject) else replace(clause, subject="a person")


def clause_of(caption: str) -> Clause | None:
    """Subject and verb phrase of a caption in the present tense, or None where it is built otherwise."""
    found = _CLAUSE.match(caption.strip().rstrip(".").lower())
    return Clause(found[1], found[2]) if found else None


@dataclass(frozen=True)
class CompositionRecipe:
    """How much is composed, of what.

    pairs, counts: groups in each split: two orders of two events; one event once, twice and three times.
    even: the same twice over, in groups whose motions are all equally long, see `motionrft.files.even_groups`.
    cut: kinds of motion (label column `content`) of which a part is still the same kind, such as walking: longer
        clips are cut to `longest`. They have no number: a walk repeated is a longer walk.
    together: groups in each split: one body (`bodies`, kinds that leave the arms free) under the arms of two
        gestures (`gestures`) in turn.
    held_out: share of the pairs of kinds that are composed in the test split alone.
    longest: frames of a clip in a pair; of one that is repeated it is two thirds.
    """

    pairs: Mapping[str, int]
    counts: Mapping[str, int]
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

    def without(self, words: re.Pattern[str]) -> "Source":
        """With the captions alone that do not say these words."""
        return replace(self, captions=tuple(text for text in self.captions if not words.search(text)))


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
    for split in sorted({*recipe.pairs, *recipe.counts, *recipe.together}):
        usable = [source for source in sources if source.split == split]
        yield from _pairs(usable, recipe, split)
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
        one, other = rng.choice(couples)
        first_source = rng.choice(kinds[one])
        alike = [source for source in kinds[other] if source.style == first_source.style]
        chosen = [first_source, rng.choice(alike or kinds[other])]
        clauses = clauses_of(chosen, rng)
        taken = [taken_of(source, recipe, recipe.longest) for source in chosen]
        if sum(taken) - recipe.blend > recipe.max_frames:
            continue
        group = f"{split}-pair-{number:04d}"
        for order in ((0, 1), (1, 0)):
            first, second = (clauses[place] for place in order)
            texts = pair_texts(first, second, rng)
            label = ">".join(chosen[place].kind for place in order)
            parts = tuple((chosen[place].clip, taken[place]) for place in order)
            yield Composed(f"{group}-{'ab'[order[0]]}", group, split, label, parts, texts)


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
            yield replace(made, captions=count_texts(clause, words, rng))


def _together(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} together {split}")
    bodies = [s for s in sources if s.kind in recipe.bodies and any(map(clause_of, s.captions))]
    free = [
        source.without(_STANDING) for source in sources if source.kind in recipe.gestures and source.stands
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
            words = {"subject": clause.subject, "first": clause.phrase, "second": arms.phrase}
            texts = tuple(template.format(**words) for template in TOGETHER_TEMPLATES)
            parts = ((body.clip, taken), (gesture.clip, gesture.frames))
            yield Composed(
                f"{group}-{place}", group, split, f"{body.kind}+{kind}", parts, texts, together=True
            )


def clauses_of(chosen: Sequence[Source], rng: Random) -> list[Clause]:
    """A clause of each of two clips that one subject does: its manner is told where it is that of both."""
    clauses = [source.clause(rng) for source in chosen]
    alike = len({source.style for source in chosen}) == 1
    return clauses if alike else [unmannered(clause) for clause in clauses]


def count_texts(clause: Clause, words: Sequence[str], rng: Random) -> tuple[str, ...]:
    """A caption for each of the words that tell one number."""
    texts = []
    for word in words:
        template = rng.choice(COUNT_TEMPLATES)
        if " and " in clause.phrase or "," in clause.phrase:
            template = COUNT_TEMPLATES[0]  # of all that is done, not of the last part alone
        texts.append(template.format(subject=clause.subject, first=clause.phrase, times=word))
    return tuple(texts)


def pair_texts(first: Clause, second: Clause, rng: Random) -> tuple[str, ...]:
    """Three captions of one pair that tell the order, each in other words, and one that names both."""
    templates = (*rng.sample(PAIR_TEMPLATES, 3), rng.choice(BOTH_TEMPLATES))
    words = {"subject": first.subject, "first": first.phrase, "second": second.phrase}
    return tuple(template.format(**words) for template in templates)


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
    single = [source.without(_NUMBERED) for source in sources if source.kind not in recipe.cut]
    return by_kind(single, recipe, recipe.longest * 2 // 3)


def taken_of(source: Source, recipe: CompositionRecipe, longest: int) -> int:
    """Frames of a source that are joined: a kind that may be cut is, to `longest`."""
    return min(source.frames, longest) if source.kind in recipe.cut else source.frames
