"""What a language model of motion tokens learns from: clips, their mirror images, and composed events, as rows of tokens.

Joining tokens needs no blending: a kinematic motion's root moves by velocities, which simply go on.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import torch
from torch import Tensor

from motionrft.data.motions import Motions
from motionrft.files.captions import mirror_caption
from motionrft.files.composed_texts import COUNT_TEMPLATES, COUNT_WORDS, PAIR_TEMPLATES, Clause, clause_of
from motionrft.generators.token_generator import TokenGenerator
from motionrft.pretraining.row_store import Encoder, Rows, RowStore
from motionrft.sequences import MadeSequence
from motionrft.training.seeds import generator_for

_CLIPS_AT_ONCE = 64
_TRIES = 50
"""Draws of events for one composed row: most are too long together."""


@dataclass(frozen=True)
class TokenRow:
    """Tokens (N,) of a motion, and texts for it."""

    tokens: Tensor
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TokenRows:
    """Rows with the weights (R,) that they are drawn with."""

    rows: Sequence[TokenRow]
    weights: Tensor

    @property
    def texts(self) -> set[str]:
        return {text for row in self.rows for text in row.texts}


class ClipRows(MadeSequence[TokenRow]):
    """Every clip of a split, or its mirror image, read when it is asked for."""

    def __init__(self, motions: Motions, tokens: Rows, mirrored: bool) -> None:
        self.motions, self.tokens, self.mirrored = motions, tokens, mirrored

    @classmethod
    def of(
        cls, generator: TokenGenerator, motions: Motions, store: RowStore, mirrored: bool = False
    ) -> "ClipRows":
        """Encode the clips into the store."""

        def encoded(items: range) -> list[Tensor]:
            clips = [motions.motion(item, mirrored) for item in items]  # (T, D) each
            return [generator.encode(clip[None], torch.tensor([len(clip)])).codes[0] for clip in clips]

        encoder = Encoder(generator.vq, generator.mean, generator.std)
        tokens = store.rows(motions, mirrored, encoder, encoded, _CLIPS_AT_ONCE, torch.int64)
        return cls(motions, tokens, mirrored)

    def __len__(self) -> int:
        return len(self.tokens)

    def made(self, place: int) -> TokenRow:
        texts = tuple(caption.text for caption in self.motions.dataset.items[place].captions)
        return TokenRow(self.tokens[place], tuple(map(mirror_caption, texts)) if self.mirrored else texts)


class Joined(MadeSequence[TokenRow]):
    """Sequences of rows behind each other."""

    def __init__(self, *parts: Sequence[TokenRow]) -> None:
        self.parts, self._ends = parts, list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def made(self, place: int) -> TokenRow:
        part = bisect_right(self._ends, place)
        return self.parts[part][place - self._ends[part]]  # from its end


def training_rows(
    generator: TokenGenerator,
    motions: Motions,
    store: RowStore,
    mirror: bool,
    composed: int,
    share: float,
    seed: int,
) -> TokenRows:
    """Clips, rare kinds of motion more often than common ones (1 / sqrt(takes)), and composed events.

    Args:
        store: where the clips' tokens are kept.
        composed: how many rows of them to make. share: of what is drawn, that is composed.
    """
    both = (False, True) if mirror else (False,)
    rows = Joined(*(ClipRows.of(generator, motions, store, mirrored) for mirrored in both))
    labels = motions.dataset.labels
    takes = torch.ones(len(motions)) if labels is None else torch.bincount(labels)[labels].float()
    weights = takes.rsqrt().repeat(len(both))
    made = list(compositions(rows, weights, composed, generator.max_frames // generator.stride, seed))
    if not made:
        return TokenRows(rows, weights)
    weights = (1 - share) * weights / weights.sum()
    return TokenRows(
        Joined(*rows.parts, made), torch.cat([weights, torch.full((len(made),), share / len(made))])
    )


def compositions(
    rows: Sequence[TokenRow], weights: Tensor, count: int, longest: int, seed: int
) -> Iterator[TokenRow]:
    """`count` rows of two events after each other, or of one once, twice or three times; fewer where none fits.

    Args:
        weights: (R,) the events' rows are drawn with. longest: tokens of a row.
    """
    random, draws = Random(f"{seed} compositions"), generator_for(seed, "compositions")
    for number in range(count):
        for _ in range(_TRIES):
            first, second = (rows[i] for i in torch.multinomial(weights, 2, generator=draws).tolist())
            made = _pair(first, second, random) if number % 2 else _repeated(first, random)
            if made is not None and len(made.tokens) <= longest:
                yield made
                break


def _pair(first: TokenRow, second: TokenRow, random: Random) -> TokenRow | None:
    clauses = [_clause(row, random) for row in (first, second)]
    if clauses[0] is None or clauses[1] is None:
        return None
    one, other = clauses[0], clauses[1]
    text = random.choice(PAIR_TEMPLATES).format(subject=one.subject, first=one.phrase, second=other.phrase)
    return TokenRow(torch.cat([first.tokens, second.tokens]), (text,))


def _repeated(row: TokenRow, random: Random) -> TokenRow | None:
    clause, times = _clause(row, random), random.choice(tuple(COUNT_WORDS))
    if clause is None:
        return None
    text = random.choice(COUNT_TEMPLATES).format(
        subject=clause.subject, first=clause.phrase, times=random.choice(COUNT_WORDS[times])
    )
    return TokenRow(row.tokens.repeat(times), (text,))


def _clause(row: TokenRow, random: Random) -> Clause | None:
    clauses = [clause for clause in map(clause_of, row.texts) if clause]
    return random.choice(clauses) if clauses else None


class RowBatches:
    """Rows of each step, a function of seed and step: `group` batches are drawn together and share rows out by length."""

    def __init__(self, rows: TokenRows, batch: int, seed: int, group: int = 8):
        self.weights, self.batch, self.seed, self.group = rows.weights, batch, seed, group
        self.counts = torch.tensor([len(row.tokens) for row in rows.rows])

    def __getitem__(self, step: int) -> Tensor:
        """(B,) places of rows."""
        draws = generator_for(self.seed, "token rows", step // self.group)
        chosen = torch.multinomial(self.weights, self.group * self.batch, replacement=True, generator=draws)
        chosen = chosen[self.counts[chosen].argsort(stable=True)]
        order = torch.randperm(self.group, generator=draws)  # (group,)
        return chosen.reshape(self.group, self.batch)[order[step % self.group]]
