"""The flag that only commands with a resumable run have."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from motionrft.errors import UserError
from motionrft.settings.base import Preset
from motionrft.settings.messages import unknown_field
from motionrft.settings.plain_yaml import read_yaml
from motionrft.training.changes import WITH_DATA

FLAG = "--allow-changed"

AllowChanged = Annotated[
    list[str] | None,
    typer.Option(
        FLAG,
        metavar="KEY",
        rich_help_panel="Output",
        help="with --resume: a preset field, a group of them, or data, validation, generator, reward, that may differ",
    ),
]
"""Repeatable. Give it to a command as `allow_changed: AllowChanged = None`."""


def check_allowed(names: Sequence[str], model: type[Preset], out: Path | None) -> None:
    """Refuse keys that allow nothing: neither a field of the preset, nor one that the run in `out` was made with.

    What a run reads (data, generator, reward) has the name of its field; its validation split has none.

    Raises:
        UserError: a line for each such key, with the nearest names.
    """
    former = _former(out)
    asked = [name for name in names if name not in WITH_DATA and not _leads_into(former, name)]
    told = {name: unknown_field(name, model) for name in asked}
    wrong = [f"{FLAG} {name}: {sentence}" for name, sentence in told.items() if sentence is not None]
    if wrong:
        raise UserError("\n".join(wrong))


def _former(out: Path | None) -> Any:
    """The preset that a run was started with: an older version may have had fields that are gone."""
    file = None if out is None else out / "preset.yaml"
    return read_yaml(file.read_bytes(), str(file)) if file is not None and file.is_file() else {}


def _leads_into(values: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True
