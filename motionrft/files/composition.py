"""Composed clips: what one clip shows and then what another shows, or one thing several times, with the words for it.

Single clips never say in which order or how often things happen. Here recorded clips are joined into motions of two
events (in both orders) and of one event once, twice and three times; the clips of such a group differ in nothing but
order or number, so they are each other's hardest negatives. Gestures are also laid over a walk, two in turn over each.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from random import Random
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
COUNT_WORDS = {1: ("once", "one time"), 2: ("twice", "two times"), 3: ("three times", "thrice")}
COUNT_TEMPLATES = ("{subject} {first}, {times}", "{subject} {first} {times}")
TOGETHER_TEMPLATES = (
    "{subject} {first} while the person {second}",
    "{subject} {first} and at the same time {second}",
    "while {subject} {first}, the person {second}",
)

_STANDING = re.compile(r"\b(stands?|standing|still|in place|on the spot)\b", re.IGNORECASE)
_NOUN = (
    r"(?:person|figure|man|woman|human|someone|somebody|character|subject|individual|guy|boy|girl|lady|gentleman|child"
    r"|kid|adult|actor|actress|performer|dancer|player|athlete|avatar)"
)
_SUBJECT = (
    rf"(?:(?:an?|the|this|that|one|another)\s+(?:(?!of\b)[\w-]+\s+){{0,4}}?{_NOUN}(?:\s+{_NOUN})?"
    rf"|(?:someone|somebody)(?:\s+(?![\w-]*s\b)[\w-]+){{0,3}}|he|she|{_NOUN}(?:\s+{_NOUN})?)"
)
_NO_VERB = r"(?!\w*(?:ss|is|us|wards)\b|(?:was|has|as|its|sideways|always|sometimes|perhaps|besides)\b)"
"""Words that end in s and are no verb, or none of an event."""
_CLAUSE = re.compile(rf"^({_SUBJECT})\s+((?:[\w-]+ly\s+)?{_NO_VERB}[\w-]+s\b.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Clause:
    """A caption as who and what: `a person`, `raises the left hand`."""

    subject: str
    phrase: str


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


@dataclass(frozen=True)
class Source:
    """A clip that may be part of a composed one. frames: of its joints; kind, style: what, in which manner.

    stands: its arms are what it shows (`motionrft.representations.together.stands`).
    """

    clip: str
    kind: str
    split: str
    frames: int
    captions: tuple[str, ...]
    style: str = ""
    stands: bool = True

    def clause(self, rng: Random) -> Clause | None:
        """One of its captions as a clause."""
        clauses = [clause for clause in map(clause_of, self.captions) if clause]
        return rng.choice(clauses) if clauses else None


@dataclass(frozen=True)
class Composed:
    """A motion to be joined. parts: clips with the frames that are taken of each; label: events in their order.

    length: frames of joints that it is brought to, by slowing down and resting or by going faster; None: as joined.
    together: the arms of the second part lie over the first, instead of following it.
    """

    clip: str
    group: str
    split: str
    label: str
    parts: tuple[tuple[str, int], ...]
    captions: tuple[str, ...]
    length: int | None = None
    together: bool = False

    def frames(self, blend: int) -> int:
        """Frames of features: one fewer than of joints."""
        if self.length is not None:
            return self.length - 1
        if self.together:
            return self.parts[0][1] - 1
        return sum(taken for _, taken in self.parts) - (len(self.parts) - 1) * blend - 1


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
        clauses = [source.clause(rng) for source in chosen]
        taken = [taken_of(source, recipe, recipe.longest) for source in chosen]
        if sum(taken) - recipe.blend > recipe.max_frames:
            continue
        group = f"{split}-pair-{number:04d}"
        for order in ((0, 1), (1, 0)):
            first, second = (clauses[place] for place in order)
            assert first is not None and second is not None  # sources without a clause are left out
            texts = pair_texts(first, second, rng)
            label = ">".join(chosen[place].kind for place in order)
            parts = tuple((chosen[place].clip, taken[place]) for place in order)
            yield Composed(f"{group}-{'ab'[order[0]]}", group, split, label, parts, texts)


def _counts(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} counts {split}")
    countable = [source for source in sources if source.kind not in recipe.cut]
    kinds = by_kind(countable, recipe, recipe.longest * 2 // 3)
    for number in range(recipe.counts.get(split, 0) if kinds else 0):
        source = rng.choice(kinds[rng.choice(sorted(kinds))])
        clause, taken = source.clause(rng), source.frames
        assert clause is not None  # sources without a clause are left out
        group = f"{split}-count-{number:04d}"
        for times, words in COUNT_WORDS.items():
            frames = times * taken - (times - 1) * recipe.blend
            if frames > recipe.max_frames:
                break
            texts = count_texts(clause, words, rng)
            parts = ((source.clip, taken),) * times
            yield Composed(f"{group}-{times}", group, split, f"{source.kind}*{times}", parts, texts)


def _together(sources: Sequence[Source], recipe: CompositionRecipe, split: str) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} together {split}")
    bodies = [s for s in sources if s.kind in recipe.bodies and any(map(clause_of, s.captions))]
    free = [_free(source) for source in sources if source.kind in recipe.gestures and source.stands]
    gestures = by_kind(free, recipe, recipe.max_frames)
    for number in range(recipe.together.get(split, 0) if bodies else 0):
        body, group = rng.choice(bodies), f"{split}-together-{number:04d}"
        taken = min(body.frames, recipe.max_frames)
        whole = {kind: [one for one in found if one.frames <= taken] for kind, found in gestures.items()}
        kinds = sorted(kind for kind, found in whole.items() if found)
        if len(kinds) < 2:
            continue
        clause = body.clause(rng)
        for place, kind in zip("ab", rng.sample(kinds, 2), strict=True):
            gesture = rng.choice(whole[kind])
            arms = gesture.clause(rng)
            assert clause is not None and arms is not None  # sources without a clause are left out
            words = {"subject": clause.subject, "first": clause.phrase, "second": arms.phrase}
            texts = tuple(template.format(**words) for template in TOGETHER_TEMPLATES)
            parts = ((body.clip, taken), (gesture.clip, gesture.frames))
            yield Composed(
                f"{group}-{place}", group, split, f"{body.kind}+{kind}", parts, texts, together=True
            )


def _free(source: Source) -> Source:
    """A gesture with the captions that do not say that it is made standing."""
    return replace(source, captions=tuple(text for text in source.captions if not _STANDING.search(text)))


def count_texts(clause: Clause, words: Sequence[str], rng: Random) -> tuple[str, ...]:
    """A caption for each of the words that tell one number."""
    return tuple(
        rng.choice(COUNT_TEMPLATES).format(subject=clause.subject, first=clause.phrase, times=word)
        for word in words
    )


def pair_texts(first: Clause, second: Clause, rng: Random) -> tuple[str, ...]:
    """Three captions of one pair, each in other words."""
    return tuple(
        template.format(subject=first.subject, first=first.phrase, second=second.phrase)
        for template in rng.sample(PAIR_TEMPLATES, 3)
    )


def by_kind(sources: Sequence[Source], recipe: CompositionRecipe, longest: int) -> dict[str, list[Source]]:
    """The sources that fit, by kind."""
    kinds: dict[str, list[Source]] = {}
    for source in sources:
        fits = source.frames <= longest or source.kind in recipe.cut
        if fits and source.frames > 2 * recipe.blend and any(map(clause_of, source.captions)):
            kinds.setdefault(source.kind, []).append(source)
    return kinds


def taken_of(source: Source, recipe: CompositionRecipe, longest: int) -> int:
    """Frames of a source that are joined: a kind that may be cut is, to `longest`."""
    return min(source.frames, longest) if source.kind in recipe.cut else source.frames
