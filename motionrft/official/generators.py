"""Generators from anywhere: our folders, and other projects' checkpoints recognised from their keys."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from motionrft.errors import UserError
from motionrft.generators import Generator, TextToMotion, save_generator
from motionrft.generators import read_generator as load_folder
from motionrft.official.pickles import read_content, write_checkpoint
from motionrft.official.source import Source
from motionrft.parsing import parsing, reads
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import write_text
from motionrft.training.weights import CONFIG, TENSORS

READERS = {
    "mld": "motionrft.official.mld",
    "mdm": "motionrft.official.mdm",
    "motiondiffuse": "motionrft.official.motiondiffuse",
    "acmdm": "motionrft.official.acmdm",
    "hymotion": "motionrft.official.hymotion",
    "stablemofusion": "motionrft.official.stablemofusion",
    "motiongpt": "motionrft.official.motiongpt",
    "kimodo": "motionrft.official.kimodo",
}
"""Where each family's reader is: a module with `recognises`, `read`, and `layout` (a pickle) or `write` (a folder)."""

_SUFFIXES = (".ckpt", ".pt", ".pth", ".tar")


@reads("a generator that is known here")
def read_official(
    path: Path, family: str | None = None, statistics: Path | None = None, **settings: Any
) -> TextToMotion:
    """Read another project's checkpoint.

    Args:
        family: a key of `READERS`; None recognises it.
        statistics: folder of the normalisation statistics; None looks beside the file.
        settings: fields of the family's configuration, for what the file does not tell (`text="clip-l14"`).
    """
    content = read_content(path)
    name = recognise(content) if family is None else family
    if name is None:
        keys = ", ".join(map(str, list(content)[:5]))
        raise UserError(
            f"{path}: no generator that is known here (its first keys: {keys}). "
            f"Known are {', '.join(READERS)}."
        )
    reader = _reader(name)
    if not reader.recognises(content):
        seems = recognise(content)
        hint = f"; it looks like {seems}" if seems else ""
        raise UserError(f"{path}: not a checkpoint of {name}{hint}.")
    with parsing(path, f"a {name} checkpoint: tensors are missing or have other shapes"):
        return reader.read(Source(path, content, statistics, settings))


def recognise(content: dict[str, Any]) -> str | None:
    """The family whose keys a checkpoint holds, or None."""
    return next((name for name in READERS if _reader(name).recognises(content)), None)


def convert_checkpoint(
    path: Path | str,
    out: Path | str,
    family: str | None = None,
    statistics: Path | None = None,
    **settings: Any,
) -> TextToMotion:
    """Read an official checkpoint and write our folder: safetensors, `config.json`, a card. Returns the
    generator.
    """
    source = checkpoint_in(Path(path))
    generator = read_official(source, family, statistics, **settings)
    save_generator(generator, out, card_of(generator, source))
    return generator


def save_official(generator: TextToMotion, path: Path | str) -> None:
    """Write the family's published container, so that its authors' code can read the tuned model.

    What its reader wants beside it is written too: the statistics as `Mean.npy` and `Std.npy`, options as `args.json`,
    an autoencoder of its own.

    Raises:
        UserError: the family, or this variant of it, has no published container.
    """
    if generator.family not in READERS:
        raise UserError(
            f"the family {generator.family} has no official format; there are {', '.join(READERS)}."
        )
    reader, path = _reader(generator.family), Path(path)
    if hasattr(reader, "write"):
        reader.write(generator, path.parent)
        return
    write_checkpoint(path, reader.layout(generator))
    Statistics(generator.mean.flatten(), generator.std.flatten()).save(path.parent)
    if hasattr(reader, "companions"):
        reader.companions(generator, path.parent)
    if hasattr(reader, "options"):
        write_text(path.parent / "args.json", json.dumps(reader.options(generator), indent=2) + "\n")


def export_official(folder: Path, out: Path) -> Path:
    """Our generator folder into its project's layout: the checkpoint under its usual name in `out`. Returns its path."""
    generator = load_folder(folder)
    if generator.family not in READERS:
        raise UserError(
            f"the family {generator.family} has no official format; there are {', '.join(READERS)}."
        )
    path = out / _reader(generator.family).FILE
    save_official(generator, path)
    return path


def checkpoint_in(path: Path) -> Path:
    """The checkpoint file that `path` is, or the only one in it.

    Raises:
        UserError: nothing there, or more than one.
    """
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if len(found) == 1:
        return found[0]
    if not found and (path / TENSORS).is_file():
        return path / TENSORS
    what = f"{len(found)} checkpoints ({', '.join(f.name for f in found[:5])})" if found else "no model"
    raise UserError(f"{path}: {what} in this folder. Name a folder with {CONFIG}, or a checkpoint file.")


def card_of(generator: TextToMotion, source: Path) -> str:
    """The card of a converted model: what it is, where it came from, and that its licence came along."""
    part = generator.tuned_part
    parameters = sum(p.numel() for p in getattr(generator, part).parameters())
    predicts = f", predicts {generator.parametrisation}" if isinstance(generator, Generator) else ""
    return (
        f"# {generator.family}, converted from {source.name}\n\n"
        f"- representation: {generator.representation}, {generator.fps:g} frames a second\n"
        f"- text encoder: {getattr(generator, 'text_encoder_name', 'its own')}\n"
        f"- {part.replace('_', ' ')}: {parameters:,} parameters{predicts}\n\n"
        f"The weights keep the licence of the project they come from.{_licence(generator)}\n"
    )


def _licence(generator: TextToMotion) -> str:
    """What the family knows of its weights' licence, behind a space; nothing where it knows nothing."""
    said = getattr(generator, "licence", "")
    return f" {said}" if said else ""


def _reader(name: str) -> ModuleType:
    if name not in READERS:
        raise UserError(f"no official format is called {name!r}; there are {', '.join(READERS)}.")
    return import_module(READERS[name])
