"""Published evaluators of Guo et al.: `finest.tar` and GloVe tables, names and shapes only."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.official.pickles import read_checkpoint
from motionrft.parsing import parsing, reads

GROUPS = ("movement_encoder", "motion_encoder", "text_encoder")
CHECKPOINT = Path("text_mot_match/model/finest.tar")
_STATISTICS = ("Comp_v6_KLD01/meta", "Comp_v6_KLD005/meta", "meta")
WORDS = ("our_vab_data.npy", "our_vab_words.pkl", "our_vab_idx.pkl")


@dataclass(frozen=True)
class EvaluatorFiles:
    """What a published evaluator consists of, as plain tensors.

    state: keys `movement_encoder.…`, `motion_encoder.…`, `text_encoder.…`, GRUs renamed to ahead/back/start.
    mean, std: (D,). rows: word to row of `vectors` (V, W). files: every file that was read, for the identity.
    """

    state: dict[str, Tensor]
    mean: Tensor
    std: Tensor
    rows: dict[str, int]
    vectors: Tensor
    files: tuple[Path, ...]


def is_published_evaluator(folder: Path) -> bool:
    """Whether the folder looks like `checkpoints/t2m` or `checkpoints/kit` of the published evaluators."""
    return (folder / CHECKPOINT).is_file()


@reads("an evaluator of Guo et al.")
def read_published_evaluator(folder: Path) -> EvaluatorFiles:
    """Read `text_mot_match/model/finest.tar`, `Comp_v6_*/meta/{mean,std}.npy` and `glove/` (here or up to two
    above).

    Raises:
        UserError: a file is missing or is no such file; names it.
    """
    checkpoint, statistics = folder / CHECKPOINT, _find(folder, _STATISTICS)
    glove = _find(folder, ("glove", "../glove", "../../glove"))
    groups = _read_checkpoint(checkpoint)
    words = [glove / name for name in WORDS]
    moments = [statistics / "mean.npy", statistics / "std.npy"]
    mean, std = (torch.from_numpy(_read_array(path)).float() for path in moments)
    vectors = torch.from_numpy(_read_array(words[0])).float()
    rows = _read_rows(words[1], words[2])
    return EvaluatorFiles(deal_out(groups), mean, std, rows, vectors, (checkpoint, *moments, *words))


def deal_out(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Published keys of the three groups to those of `GuoNetwork`; the tensors keep their shape."""
    return {f"{group}.{_ours(key)}": value for group in GROUPS for key, value in groups[group].items()}


def _ours(key: str) -> str:
    """torch's bidirectional GRU, `gru.weight_ih_l0[_reverse]` and a start `hidden`, as two GRUs and their
    start."""
    if key == "hidden":
        return "gru.start"
    if not key.startswith("gru."):
        return key
    name = key.removeprefix("gru.")
    return f"gru.back.{name.removesuffix('_reverse')}" if name.endswith("_reverse") else f"gru.ahead.{name}"


def _read_checkpoint(path: Path) -> dict[str, Any]:
    content = read_checkpoint(path)
    missing = [group for group in GROUPS if group not in content]
    if missing:
        raise UserError(
            f"{path}: no evaluator: {', '.join(missing)} missing. Expected is Guo et al.'s finest.tar."
        )
    return content


def _find(folder: Path, candidates: tuple[str, ...]) -> Path:
    for candidate in candidates:
        if (folder / candidate).is_dir():
            return folder / candidate
    raise UserError(f"{folder}: evaluator incomplete: none of {', '.join(candidates)} is there.")


def _read_array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path}: missing; the evaluator needs it.")
    with parsing(path, "a readable array"):
        return np.load(path, allow_pickle=False)


def _read_rows(words: Path, index: Path) -> dict[str, int]:
    """The two tables must agree on which words there are."""
    listed, rows = _read_plain(words), _read_plain(index)
    if not isinstance(rows, dict) or set(listed) - set(rows):
        raise UserError(f"{index}: does not index the words of {words.name}.")
    return {str(word): int(rows[word]) for word in listed}


class _PlainUnpickler(pickle.Unpickler):
    """Lists, dictionaries, strings and numbers; anything that would import or call something is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _read_plain(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: missing; the evaluator needs it.")
    with parsing(path, "a plain pickle of words"):
        try:
            with path.open("rb") as file:
                return _PlainUnpickler(file).load()
        except pickle.UnpicklingError as error:
            raise UserError(f"{path}: refused: no plain pickle of words ({error}).") from None
