"""Words for composed clips: captions as who does what, and the templates that put two or three of them together.

A caption that says no more of its subject than that it is a person may be told of anyone (`subjects`), since a prompt
may name anyone; without any it is told of whom it was told of.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

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
THREE_TEMPLATES = (
    "{subject} {first}, then {second}, then {third}",
    "{subject} {first}, then {second} and after that {third}",
    "first {subject} {first}, then {second}, and then {third}",
    "{subject} {first}, {second} and then {third}",
)
ALL_THREE_TEMPLATES = (
    "{subject} {first}, {second} and {third}",
    "{subject} {first}, {second}, and {third}",
    "{subject} {first}, {second}, and also {third}",
)
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
_STANDING = re.compile(r"\b(stands?|standing|still|in place|on the spot)\b", re.IGNORECASE)
_NOUN = (
    r"(?:person|figure|man|woman|human|someone|somebody|character|subject|individual|guy|boy|girl|lady|gentleman|child"
    r"|kid|adult|actor|actress|performer|dancer|player|athlete|avatar)"
)
_SUBJECT = (
    rf"(?:(?:an?|the|this|that|one|another)\s+(?:(?!of\b)[\w-]+\s+){{0,4}}?{_NOUN}(?:\s+{_NOUN})?"
    rf"|(?:someone|somebody)(?:\s+(?![\w-]*s\b)[\w-]+){{0,3}}|he|she|{_NOUN}(?:\s+{_NOUN})?)"
)
_NOBODY = re.compile(
    r"(?:(?:a|the|this|one) )?(?:person|figure|human|character|subject|individual|adult|avatar)|some(?:one|body)"
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


def subject_of(clause: Clause, rng: Random, subjects: Sequence[str]) -> str:
    """Who does what a clause says: any of `subjects`, if there are any, for one who has neither manner nor sex."""
    return rng.choice(subjects) if subjects and _NOBODY.fullmatch(clause.subject) else clause.subject


def unnumbered(captions: Iterable[str]) -> tuple[str, ...]:
    """Those that do not say that something is done several times: of such a clip, two are not twice."""
    return tuple(text for text in captions if not _NUMBERED.search(text))


def without_standing(captions: Iterable[str]) -> tuple[str, ...]:
    """Those that do not say that whoever does it stands: over a walk they would not be true."""
    return tuple(text for text in captions if not _STANDING.search(text))


def clause_of(caption: str) -> Clause | None:
    """Subject and verb phrase of a caption in the present tense, or None where it is built otherwise."""
    found = _CLAUSE.match(caption.strip().rstrip(".").lower())
    return Clause(found[1], found[2]) if found else None


def count_texts(
    clause: Clause, words: Sequence[str], rng: Random, subjects: Sequence[str]
) -> tuple[str, ...]:
    """A caption for each of the words that tell one number."""
    texts = []
    for word in words:
        template = rng.choice(COUNT_TEMPLATES)
        if " and " in clause.phrase or "," in clause.phrase:
            template = COUNT_TEMPLATES[0]  # of all that is done, not of the last part alone
        texts.append(
            template.format(subject=subject_of(clause, rng, subjects), first=clause.phrase, times=word)
        )
    return tuple(texts)


def pair_texts(first: Clause, second: Clause, rng: Random, subjects: Sequence[str]) -> tuple[str, ...]:
    """Three captions of one pair that tell the order, each in other words, and one that names both."""
    return _told((*rng.sample(PAIR_TEMPLATES, 3), rng.choice(BOTH_TEMPLATES)), (first, second), rng, subjects)


def three_texts(clauses: Sequence[Clause], rng: Random, subjects: Sequence[str]) -> tuple[str, ...]:
    """Two captions of three events that tell the order, each in other words, and one that names all."""
    return _told((*rng.sample(THREE_TEMPLATES, 2), rng.choice(ALL_THREE_TEMPLATES)), clauses, rng, subjects)


def together_texts(body: Clause, arms: Clause, rng: Random, subjects: Sequence[str]) -> tuple[str, ...]:
    """A caption in the words of every template."""
    return _told(TOGETHER_TEMPLATES, (body, arms), rng, subjects)


def _told(
    templates: Iterable[str], clauses: Sequence[Clause], rng: Random, subjects: Sequence[str]
) -> tuple[str, ...]:
    """What the first clause's subject does, and then the others' phrases, in the words of each template."""
    words = {
        place: clause.phrase for place, clause in zip(("first", "second", "third"), clauses, strict=False)
    }
    return tuple(
        template.format(subject=subject_of(clauses[0], rng, subjects), **words) for template in templates
    )
