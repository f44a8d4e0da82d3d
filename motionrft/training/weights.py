"""A model on disk: a folder of `model.safetensors`, `config.json` and `manifest.json` (SHA-256 of each file).

safetensors has no checksum, so a flipped bit would load as a slightly different model: the manifest is what
notices. Nothing here can run code from a file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.training.atomic import atomic_folder, recover_folder
from motionrft.training.fingerprints import file_hash

TENSORS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"
MANIFEST = "manifest.json"

_LARGEST_HEADER = 100_000_000
"""The safetensors format's own limit, in bytes."""
_WEB = (b"<!doc", b"<html", b"<head", b"<?xml")
_LISTED = 5


def save_weights(
    folder: Path | str,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    card: str | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        folder: created; replaced if it holds a model already.
        tensors: a state dict; any device, any dtype (kept), shared storages are written apart.
        config: what is needed to build the module again; JSON values only.
        card: text about the model (data, licence, command, metrics), written as `README.md`.

    Raises:
        UserError: `folder` exists and is no model folder, or cannot be written.
        RunError: the disk is full or failing; a model that stood there before still does.
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
    check_manifest(folder)
    return _read(folder / TENSORS, device), read_json(folder / CONFIG)


def write_manifest(folder: Path) -> None:
    """Write `manifest.json`: size and SHA-256 of every other file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_hash(path)}
        for path in files
    }
    (folder / MANIFEST).write_text(json.dumps({"files": entries}, indent=2) + "\n")


def check_manifest(folder: Path) -> None:
    """Compare every file of the manifest with what lies there.

    Raises:
        UserError: names the first file that is missing, has another size (and the byte where it ends) or
            another hash.
    """
    entries = read_json(folder / MANIFEST).get("files")
    if not isinstance(entries, dict):
        raise UserError(
            f"{folder / MANIFEST}: damaged: has no list of files. Copy or convert the model again."
        )
    for name, entry in entries.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{folder / MANIFEST}: names {name!r}, outside the folder. The model was not read."
            )
        if not path.is_file():
            raise UserError(f"{path}: missing, though {MANIFEST} lists it. Copy the whole folder again.")
        _check_size(path, int(entry["bytes"]))
        if file_hash(path) != entry["sha256"]:
            raise UserError(
                f"{path}: damaged: its SHA-256 is not the one in {MANIFEST} (changed bytes). Copy it again."
            )


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to one file. A full disk raises OSError, as every other write does."""
    try:
        save_file(_separate(tensors), path)
    except SafetensorError as error:
        raise OSError(f"{error}") from error


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
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            raise UserError(
                _damaged(path, f"the header (bytes 8 to {8 + length:,}) is no list of tensors")
            ) from None
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


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], origin: str = "the weights") -> None:
    """`check_state`, then load: all of it or nothing."""
    check_state(module, tensors, origin)
    module.load_state_dict(dict(tensors))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or say what is wrong with the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing. The folder is incomplete; copy the whole of it.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: no valid JSON ({error}). Copy it again.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: damaged: holds {type(value).__name__}, expected an object. Copy it again.")
    return value


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))


def _read(path: Path, device: str) -> dict[str, Tensor]:
    try:
        return load_file(path, device=device)
    except SafetensorError as error:
        raise UserError(_damaged(path, f"the header does not fit the data ({error})")) from None


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
