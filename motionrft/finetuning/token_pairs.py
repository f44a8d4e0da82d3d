"""Pairs of motions as tokens, and batches of them in which every kind of prompt has its share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.finetuning.pairs import read_motion
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.token_generator import TokenGenerator
from motionrft.parsing import Place, json_lines, parsing, text_of
from motionrft.preferences.candidates import codebook_identity
from motionrft.preferences.labels import read_labels
from motionrft.preferences.pairs import DEGREE_SMOOTHING, UNSURE
from motionrft.training.cursor import StreamCursor
from motionrft.training.fingerprints import text_hash

ANY = "any"
"""The kind of pairs that say none."""
Smoothing = float | Literal["degree"]


@dataclass(frozen=True)
class TokenPairs:
    """N pairs: prompt, both motions as codes (n,), kind of prompt, probability of being the wrong way round."""

    texts: tuple[str, ...]
    better: tuple[Tensor, ...]
    worse: tuple[Tensor, ...]
    kinds: tuple[str, ...]
    smoothing: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def identity(self) -> str:
        """A hash of texts and tokens."""
        codes = (str(row.tolist()) for side in (self.better, self.worse) for row in side)
        return text_hash(*self.texts, *codes, str(self.smoothing))

    def tokens(self, side: Literal["better", "worse"], items: Sequence[int]) -> MotionTokens:
        """One motion of each chosen pair."""
        rows = self.better if side == "better" else self.worse
        return MotionTokens.of([rows[item] for item in items])

    def state_dict(self) -> dict[str, Any]:
        names = ("texts", "better", "worse", "kinds", "smoothing")
        return {name: list(getattr(self, name)) for name in names}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "TokenPairs":
        """What `state_dict` gave."""
        return cls(**{name: tuple(values) for name, values in state.items()})


def read_token_pairs(
    path: Path, generator: TokenGenerator, smoothing: Smoothing, say: Callable[[str], None] = lambda _: None
) -> TokenPairs:
    """Pairs of `motionrft prefer`, or of a published label file.

    A motion's own tokens are read where its file has them and they are of this codebook; any other motion is encoded, and
    `say` is told that these are not what was sampled.

    Raises:
        UserError: a line lacks its prompt or a motion, or a motion cannot be brought to this generator's tokens.
    """
    if not path.is_file() or path.suffix != ".jsonl":
        raise UserError(f"{path}: no pairs.jsonl of motionrft prefer, and no published label file.")
    first = next((entry for _, entry in json_lines(path)), None)
    if first is None:
        raise UserError(f"{path}: holds no pair.")
    if "chosen" in first:
        return _published(path, generator, smoothing)
    reader = _Reader(generator)
    texts, sides, kinds, doubts = [], [], [], []
    for place, entry in json_lines(path):
        texts.append(text_of(entry, "prompt" if "prompt" in entry else "text", place))
        sides.append([reader.read(path.parent / text_of(entry, side, place)) for side in ("better", "worse")])
        kinds.append(str(entry.get("kind", ANY)))
        doubts.append(_doubt(entry, smoothing, place))
    if reader.encoded:
        say(
            f"{path}: {reader.encoded} of {2 * len(texts)} motions have no tokens of this codebook and were encoded: "
            "they are not what was sampled."
        )
    better, worse = zip(*sides, strict=True)
    return TokenPairs(tuple(texts), better, worse, tuple(kinds), tuple(doubts))


def _published(path: Path, generator: TokenGenerator, smoothing: Smoothing) -> TokenPairs:
    by_degree = smoothing == "degree"
    pairs = read_labels(path, unsure=True, smoothing=by_degree)
    codes = generator.vocabulary.codes
    for pair in pairs:
        if max(int(row.max()) for row in (pair.better, pair.worse) if len(row)) >= codes:
            raise UserError(f"{path}: pair {pair.id} holds a token beyond this generator's {codes} codes.")
    doubts = tuple(pair.smoothing if by_degree else float(smoothing) for pair in pairs)
    better, worse = tuple(pair.better for pair in pairs), tuple(pair.worse for pair in pairs)
    return TokenPairs(tuple(pair.prompt for pair in pairs), better, worse, (ANY,) * len(pairs), doubts)


def _doubt(entry: dict[str, Any], smoothing: Smoothing, place: Place) -> float:
    if smoothing != "degree":
        return float(smoothing)
    degree = entry.get("degree", UNSURE)
    if degree not in DEGREE_SMOOTHING:
        place.fail(f"degree is {degree!r}; there are {', '.join(DEGREE_SMOOTHING)}")
    return DEGREE_SMOOTHING[degree]


class _Reader:
    """Motions as tokens. encoded: how many had none of their own."""

    def __init__(self, generator: TokenGenerator):
        self.generator, self.codebook, self.encoded = generator, codebook_identity(generator), 0

    def read(self, path: Path) -> Tensor:
        """(n,) codes of a motion's file."""
        if path.suffix == ".npz" and path.is_file():
            with parsing(path, "a motion with its tokens"), np.load(path, allow_pickle=False) as held:
                if "tokens" in held.files and str(held["codebook"]) == self.codebook:
                    return torch.from_numpy(held["tokens"].astype(np.int64))
        self.encoded += 1
        motion = read_motion(path, self.generator)[: self.generator.max_frames]  # (T, D)
        return self.generator.encode(motion[None], torch.tensor([len(motion)])).rows()[0]


class BalancedStream:
    """Endless batches of pairs, each kind of prompt in equal parts, from one permutation of its pairs after another."""

    def __init__(self, kinds: Sequence[str], batch: int, seed: int, identity: str = ""):
        self.batch = batch
        self.places = {
            kind: [i for i, each in enumerate(kinds) if each == kind] for kind in sorted(set(kinds))
        }
        self.cursors = {
            kind: StreamCursor(len(there), 1, seed + number, identity=f"{identity} {kind}")
            for number, (kind, there) in enumerate(self.places.items())
        }
        self.given = 0
        """Batches given out so far: what does not divide evenly goes round."""

    def next(self) -> list[int]:
        """Positions of the next batch."""
        names = list(self.places)
        turns = [names[(self.given * self.batch + place) % len(names)] for place in range(self.batch)]
        self.given += 1
        return [self.places[kind][int(self.cursors[kind].next())] for kind in turns]

    def state_dict(self) -> dict[str, Any]:
        return {
            "given": self.given,
            "cursors": {kind: each.state_dict() for kind, each in self.cursors.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.given = state["given"]
        for kind, each in self.cursors.items():
            each.load_state_dict(state["cursors"][kind])
