"""A model on disk: a folder of `model.safetensors`, `config.json` and `manifest.json` (SHA-256 of each file).

safetensors has no checksum, so a flipped bit would load as a slightly different model: the manifest is what
notices. Nothing here can run code from a file.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from motionrft.errors import RunError, UserError
from motionrft.parsing import parse_json, parsing, read_json
from motionrft.training.atomic import atomic_folder, recover_folder
from motionrft.training.described import without_storage
from motionrft.training.fingerprints import file_hash
from motionrft.training.outline import outline_of, outlining

TENSORS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"
MANIFEST = "manifest.json"

_LARGEST_HEADER = 100_000_000
"""The safetensors format's own limit, in bytes."""
_WEB = (b"<!doc", b"<html", b"<head", b"<?xml")
_LISTED = 5
_LARGEST_NUMBER = 1_000_000
"""Of a model's configuration: widths, positions, training times."""


def save_weights(
    folder: Path | str,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    card: str | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        folder: created; a model that it holds already is replaced, files that are not the model's stay.
        tensors: a state dict; any device, any dtype (kept), shared storages are written apart.
        config: what is needed to build the module again; JSON values only.
        card: text about the model (data, licence, command, metrics), written as `README.md`.

    Raises:
        UserError: `folder` exists and is no model folder, or cannot be written.
        RunError: a tensor is not finite; the disk is full or failing; a model that stood there before still does.
    """
    folder = Path(folder)
    recover_folder(folder)
    if folder.exists() and not _replaceable(folder):
        raise UserError(f"{folder}: exists and holds no model. Name a new folder, so that nothing is lost.")
    with atomic_folder(folder) as temporary:
        write_safetensors(temporary / TENSORS, tensors)
        (temporary / CONFIG).write_text(json.dumps(config, indent=2, allow_nan=False) + "\n")
        if card is not None:
            (temporary / CARD).write_text(card)
        write_manifest(temporary)
        if folder.exists():
            _carry_over(folder, temporary)


def load_weights(folder: Path | str, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a model folder and check it against its manifest.

    Returns:
        The tensors on `device`, and the configuration.

    Raises:
        UserError: something is missing, damaged, or not what was written; says which file and where.
    """
    folder = Path(folder)
    recover_folder(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such model folder. A model is a folder with {TENSORS}, {CONFIG} and {MANIFEST}."
        )
    check_safetensors(folder / TENSORS)
    check_manifest(folder, (TENSORS, CONFIG))
    tensors, config = _read(folder / TENSORS, device), read_json(folder / CONFIG)
    _check_plausible(config, len(tensors), f"{folder / CONFIG}")
    return tensors, config


def write_manifest(folder: Path) -> None:
    """Write `manifest.json`: size and SHA-256 of every other file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        for path in files
    }
    (folder / MANIFEST).write_text(json.dumps({"files": entries}, indent=2) + "\n")


def check_manifest(folder: Path, needed: Sequence[str]) -> None:
    """Compare every file of the manifest with what lies there.

    Args:
        needed: files that the manifest must list; one that lists nothing vouches for nothing.

    Raises:
        UserError: names the first file that is missing, has another size (and the byte where it ends) or
            another hash.
    """
    for name, entry in _entries(folder, needed).items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{folder / MANIFEST}: names {name!r}, outside the folder. The model was not read."
            )
        if not path.is_file():
            raise UserError(f"{path}: missing, though {MANIFEST} lists it. Copy the whole folder again.")
        _check_size(path, entry["bytes"])
        if file_hash(path) != entry["sha256"]:
            raise UserError(
                f"{path}: damaged: its SHA-256 is not the one in {MANIFEST} (changed bytes). Copy it again."
            )


def _entries(folder: Path, needed: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Size and hash by file name, from a manifest that is whole."""
    file = folder / MANIFEST
    entries = read_json(file).get("files")
    with parsing(file, "a manifest") as place:
        if not isinstance(entries, dict):
            place.fail("damaged: has no list of files. Copy or convert the model again.")
        for name, entry in entries.items():
            if type(entry["bytes"]) is not int or not isinstance(entry["sha256"], str):
                place.fail(f"damaged: {name} has no size or no hash. Copy or convert the model again.")
        if lacking := [name for name in needed if name not in entries]:
            place.fail(f"damaged: does not list {lacking[0]}. Copy or convert the model again.")
        return entries


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to one file. A full disk raises OSError, as every other write does.

    Raises:
        RunError: a tensor holds NaN or infinity: what is saved can be used.
    """
    check_finite(tensors, str(path.parent.name))
    try:
        save_file(_separate(tensors), path)
    except SafetensorError as error:
        raise OSError(f"{error}") from error


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Refuse tensors that training, or a file, has made useless.

    Raises:
        RunError: names the first that holds NaN or infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise RunError(
                f"{what}: {name} has {bad} of {tensor.numel()} values that are not finite; it was not saved. "
                "What was saved before still stands. Try a smaller learning rate."
            )


def read_safetensors(path: Path | str, device: str = "cpu") -> dict[str, Tensor]:
    """Read one safetensors file after `check_safetensors`."""
    check_safetensors(Path(path))
    return _read(Path(path), device)


def check_safetensors(path: Path) -> None:
    """Check the frame of a safetensors file: header length, header, and where the last tensor ends.

    Raises:
        UserError: missing, truncated, followed by something else, or no safetensors file; says at which byte.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.lstrip().lower().startswith(_WEB):
            raise UserError(f"{path}: a web page, not weights: the download failed. Download it again.")
        length = int.from_bytes(start, "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise UserError(
                _damaged(path, f"at byte 0 a header of {length:,} bytes is announced, the file has {size:,}")
            )
        with parsing(f"{path}: header (bytes 8 to {8 + length:,})", "a list of tensors"):
            header = parse_json(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    _check_size(path, 8 + length + max(ends, default=0))


def check_state(module: nn.Module, tensors: Mapping[str, Tensor], origin: str = "the weights") -> None:
    """Compare names and shapes with a module's state dict before anything is loaded.

    Raises:
        UserError: lists the first five differences; the module is untouched.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [f"{name} is missing" for name in wanted if name not in found]
    wrong += [f"{name} is unknown here" for name in found if name not in wanted]
    wrong += [
        f"{name} has shape {found[name]}, expected {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    if wrong:
        more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise UserError(
            f"{origin}: made for another architecture than {type(module).__name__}: "
            f"{'; '.join(wrong[:_LISTED])}{more}. Nothing was loaded."
        )


def check_fits(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor], origin: str) -> None:
    """Compare names and shapes with what a configuration would build, before any memory is taken for it.

    Raises:
        UserError: as `check_state`. A network that cannot be built without storage is not compared here.
    """
    try:
        with without_storage():
            module = build()
    except NotImplementedError:
        return
    check_state(module, tensors, origin)


def _check_plausible(value: Any, tensors: int, place: str) -> None:
    """Refuse a configuration of numbers that no model has, before a loop or an allocation meets them.

    Args:
        tensors: how many the model has: every layer has one at least.
    """
    if isinstance(value, dict):
        for name, child in value.items():
            most = tensors if "layers" in name else _LARGEST_NUMBER
            if isinstance(child, int) and abs(child) > most:
                raise UserError(
                    f"{place}: {name} is {child}; at most {most} is plausible here. Copy it again."
                )
            _check_plausible(child, tensors, place)
    elif isinstance(value, list):
        for child in value:
            _check_plausible(child, tensors, place)


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], origin: str = "the weights") -> None:
    """`check_state`, and that every weight is a number, then load: all of it or nothing.

    Raises:
        UserError: as `check_state`, or a tensor holds NaN: whatever it made would be none.
    """
    check_state(module, tensors, origin)
    if outlining():
        return
    broken = next((name for name, tensor in tensors.items() if _holds_nan(tensor)), None)
    if broken is not None:
        raise UserError(f"{origin}: {broken} holds NaN: it was saved from a broken run. Nothing was loaded.")
    module.load_state_dict(dict(tensors))


def _holds_nan(tensor: Tensor) -> bool:
    wide = tensor.is_floating_point() and tensor.dtype.itemsize > 1
    return wide and bool(tensor.numel()) and bool(tensor.amax().isnan())  # one pass, nothing allocated


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    try:
        return not any(folder.iterdir()) or bool(_entries(folder, (TENSORS,)))
    except UserError:
        return False


def _carry_over(before: Path, after: Path) -> None:
    """Copy into the new model folder what lies in the old one and is not the model's: a user's notes stay."""
    own = {*_entries(before, ()), MANIFEST} if before.is_dir() and any(before.iterdir()) else set()
    for path in sorted(before.rglob("*")) if own else ():
        name = path.relative_to(before)
        target = after / name
        if (path.is_file() or path.is_symlink()) and name.as_posix() not in own and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


def _read(path: Path, device: str) -> dict[str, Tensor]:
    with parsing(path, "weights: the header does not fit the data"):
        return outline_of(path) if outlining() else load_file(path, device=device)


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size
    if size < expected:
        raise UserError(_damaged(path, f"ends at byte {size:,}, {expected:,} are expected (truncated)"))
    if size > expected:
        raise UserError(_damaged(path, f"should end at byte {expected:,} but goes on to {size:,}"))


def _damaged(path: Path, what: str) -> str:
    return f"{path}: damaged: {what}. Copy, download or convert it again."


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors of which no two share a storage (safetensors refuses those)."""
    seen: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() > tensor.nbytes:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor
    return apart
