"""Reading other projects' checkpoints: pickles, but only what carries no code.

`torch.load` with `weights_only=True` and a short list of harmless types; everything else is refused by name.
A file that is no checkpoint at all is said to be what it is.
"""

import argparse
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.arrays import check_expansion
from motionrft.parsing import parsing
from motionrft.training.atomic import atomic_file
from motionrft.training.outline import DEVICE, outlining
from motionrft.training.weights import read_safetensors

_LISTED = 5
_READ_ANYWAY = ("torch.", "collections.OrderedDict")
"""Globals of every pickled state dict, which `weights_only` knows."""
_WRAPPED = "module."
_NUMPY_TYPES = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "u1", "b1")),
]


def _harmless() -> list[Any]:
    """Types that published checkpoints hold beside tensors; numpy's scalar builder under its old name and its
    new.
    """
    build_scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    aliases = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [argparse.Namespace, *_NUMPY_TYPES, *((build_scalar, name) for name in aliases)]


def read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds, by name: safetensors, or a pickle as `read_checkpoint`."""
    return dict(read_safetensors(path)) if path.suffix == ".safetensors" else read_checkpoint(path)


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a pickled checkpoint (`.ckpt`, `.pt`, `.pth`, `.tar`) without running anything in it; names that a parallel
    wrapper saved are as they were without it.

    Raises:
        UserError: as `read_pickle`, or it holds something else than a dictionary.
    """
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}; a checkpoint is a dictionary.")
    return {
        name: _unwrapped(value) if isinstance(value, dict) else value
        for name, value in _unwrapped(content).items()
    }


def _unwrapped(state: dict[Any, Any]) -> dict[Any, Any]:
    """A state dict without the `module.` that PyTorch's parallel wrappers put before every name."""
    tensors = [name for name, value in state.items() if isinstance(value, Tensor)]
    if not tensors or not all(str(name).startswith(_WRAPPED) for name in tensors):
        return state
    return {str(name).removeprefix(_WRAPPED): value for name, value in state.items()}


def read_pickle(path: Path | str) -> Any:
    """Read a pickled file of tensors, numbers, lists and dictionaries without running anything in it.

    Raises:
        UserError: missing, empty, a web page, truncated, or one that needs code to be read; the globals it asks
            for are named.
    """
    path = Path(path)
    with parsing(path, "a checkpoint"):
        _refuse_strangers(path)
        try:
            with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
                # What a newer pickle protocol leads to is told below, as an error.
                warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
                place = DEVICE if outlining() else "cpu"
                return torch.load(path, map_location=place, weights_only=True)
        except pickle.UnpicklingError:
            raise UserError(_refusal(path)) from None


def write_checkpoint(path: Path | str, content: Mapping[str, Any]) -> None:
    """Write a pickled checkpoint of tensors, whole or not at all, for other projects' code to read."""
    with atomic_file(path) as temporary:
        torch.save(dict(content), temporary)


def tensors_under(content: Mapping[str, Any], key: str | None, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, or of the state dict it keeps under `key`, by name.

    Raises:
        UserError: there is none.
    """
    state = content if key is None else content.get(key)
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: has no {key!r}; it holds {', '.join(map(str, list(content)[:_LISTED]))}.")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path}: no tensors{'' if key is None else f' under {key!r}'}; it is no model.")
    for name, tensor in tensors.items():
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise UserError(
                f"{path}: {name} claims shape {tuple(tensor.shape)} over {tensor.untyped_storage().nbytes()} bytes: "
                "damaged. Download or copy it again."
            )
    return tensors


def without(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """The tensors whose name starts with none of the prefixes."""
    return {name: value for name, value in tensors.items() if not name.startswith(prefixes)}


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, under the rest of their name."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def counted(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered children there are below `prefix`: `counted(t, "encoder.layers.")`."""
    return len({name.split(".", 1)[0] for name in below(tensors, prefix)})


def _refuse_strangers(path: Path) -> None:
    """Files that are recognisably something else, by their first bytes."""
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    with path.open("rb") as file:
        head = file.read(512)
    text = head.lstrip().lower()
    if not head:
        raise UserError(f"{path}: empty. Download or copy it again.")
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise UserError(f"{path}: a web page, not a checkpoint: the download failed. Fetch the file itself.")
    if text.startswith(b"version https://git-lfs"):
        raise UserError(f"{path}: a Git LFS pointer, not the file. Run `git lfs pull` where it came from.")
    if head.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            raise UserError(
                f"{path}: damaged: truncated at byte {path.stat().st_size:,}. Download or copy it again."
            )
        with zipfile.ZipFile(path) as archive:
            check_expansion(archive, path)


def _refusal(path: Path) -> str:
    """Why a pickle was not read: the globals it asks for, or that it is none."""
    try:
        with torch.serialization.safe_globals(_harmless()):
            asked = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # torch's parser gives up on what is no whole pickle in many ways; ours does not
        asked = sorted(name for name in _bare_globals(path) if not name.startswith(_READ_ANYWAY))
    if asked:
        names = ", ".join(asked[:_LISTED]) + (
            f" and {len(asked) - _LISTED} more" if len(asked) > _LISTED else ""
        )
        return (
            f"{path}: refused: reading it would run code ({names}). Nothing was run. Save its state dict "
            "alone, in the project it comes from, and name that file."
        )
    return f"{path}: damaged, or no checkpoint at all. Nothing was run. Download or copy it again."


def _bare_globals(path: Path) -> set[str]:
    """Globals that pickles without a zip container ask for. They are parsed, not run; what is no whole pickle asks
    for nothing."""
    asked: set[str] = set()
    with path.open("rb") as file:
        try:
            while file.peek(1):
                asked |= _globals_of_one(file)
        except (
            Exception
        ):  # tensors' bytes follow the pickles, or it is none; whatever it was, it asks for no more
            return asked
    return asked


def _globals_of_one(file: IO[bytes]) -> set[str]:
    asked: set[str] = set()
    words = ["?", "?"]
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            asked.add(str(argument).replace(" ", "."))
        elif operation.name == "STACK_GLOBAL":
            asked.add(".".join(words[-2:]))
        elif "GET" in operation.name:  # a word said before, which is not looked up
            words.append("?")
        elif isinstance(argument, str):
            words.append(argument)
    return asked
