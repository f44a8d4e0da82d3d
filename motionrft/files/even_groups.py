"""Groups of composed clips that are all equally long: length tells neither the number nor that something is missing.

Of clips that are only joined, twice is twice as long as once: a reward learns the length, which is the prompt's own, and
prefers nothing among motions that were made for one prompt. Here an event happens once, twice or three times in the
same time, or two events happen in either order and each of them alone, slower or faster and with rests.
"""

from collections.abc import Iterator, Sequence
from random import Random

from motionrft.files.composed_texts import COUNT_WORDS, count_texts, pair_texts, subject_of
from motionrft.files.composition import (
    Composed,
    CompositionRecipe,
    Source,
    by_kind,
    clauses_of,
    countable,
    couples_of,
    taken_of,
)

_SHARE = (0.6, 1.0)
"""Length of a group that tells a number, of that of three times."""
_STRETCH = (0.9, 1.2)
"""Length of a group of two events, of that of both joined."""


def even_compositions(sources: Sequence[Source], recipe: CompositionRecipe) -> Iterator[Composed]:
    """`recipe.even` groups of each of the two sorts, the same for the same sources and seed."""
    for split, groups in sorted(recipe.even.items()):
        usable = [source for source in sources if source.split == split]
        yield from _numbers(usable, recipe, split, groups)
        yield from _orders(usable, recipe, split, groups)


def _numbers(
    sources: Sequence[Source], recipe: CompositionRecipe, split: str, groups: int
) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} even numbers {split}")
    kinds = countable(sources, recipe)
    for number in range(groups if kinds else 0):
        source = rng.choice(kinds[rng.choice(sorted(kinds))])
        clause, group = source.clause(rng), f"{split}-even-number-{number:04d}"
        thrice = 3 * source.frames + 2 * (recipe.blend if source.stands else -recipe.blend)
        length = min(round(rng.uniform(*_SHARE) * thrice), recipe.max_frames)
        for times, words in COUNT_WORDS.items():
            parts = ((source.clip, source.frames),) * times
            texts, label = count_texts(clause, words, rng, recipe.subjects), f"{source.kind}*{times}"
            yield Composed(f"{group}-{times}", group, split, label, parts, texts, length, rests=source.stands)


def _orders(
    sources: Sequence[Source], recipe: CompositionRecipe, split: str, groups: int
) -> Iterator[Composed]:
    rng = Random(f"{recipe.seed} even orders {split}")
    kinds = by_kind(sources, recipe, recipe.longest)
    couples = couples_of(kinds, recipe, split)
    for number in range(groups if couples else 0):
        chosen = [rng.choice(kinds[kind]) for kind in rng.choice(couples)]
        clauses, group = clauses_of(chosen, rng), f"{split}-even-order-{number:04d}"
        parts = [(source.clip, taken_of(source, recipe, recipe.longest)) for source in chosen]
        joined = sum(frames for _, frames in parts) - recipe.blend
        length = min(round(rng.uniform(*_STRETCH) * joined), recipe.max_frames)
        for order in ((0, 1), (1, 0), (0,), (1,)):
            told = [clauses[place] for place in order]
            alone = f"{subject_of(told[0], rng, recipe.subjects)} {told[0].phrase}"
            texts = (alone,) if len(told) == 1 else pair_texts(told[0], told[1], rng, recipe.subjects)
            yield Composed(
                f"{group}-{''.join('ab'[place] for place in order)}",
                group,
                split,
                ">".join(chosen[place].kind for place in order),
                tuple(parts[place] for place in order),
                texts,
                length,
            )
