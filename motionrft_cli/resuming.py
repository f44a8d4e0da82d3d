"""The flag that only commands with a resumable run have."""

from typing import Annotated

import typer

AllowChanged = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-changed",
        metavar="KEY",
        rich_help_panel="Output",
        help="with --resume: a preset field, a group of them, or data, generator, reward, that may differ",
    ),
]
"""Repeatable. Give it to a command as `allow_changed: AllowChanged = None`."""
