"""The options every subcommand has, declared once (`motionrft_cli.options` explains how they are used)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from motionrft_cli.signature import sets

PRESET, RUN, OUTPUT = "Preset", "Run", "Output"


def _value(panel: str, kind: Any, flag: str, help: str | None = None, metavar: str | None = None) -> Any:
    return Annotated[kind, typer.Option(flag, rich_help_panel=panel, help=help, metavar=metavar)]


def _switch(panel: str, help: str, *flags: str) -> Any:
    return Annotated[bool, typer.Option(*flags, rich_help_panel=panel, help=help)]


def _field(kind: Any, flag: str, field: str, metavar: str | None = None) -> Any:
    return Annotated[kind, typer.Option(flag, rich_help_panel=RUN, metavar=metavar), sets(field)]


# parameter name -> (annotation, default)
SHARED: dict[str, tuple[Any, Any]] = {
    "preset": (
        _value(PRESET, str | None, "--preset", "a name of --list-presets, or a YAML file", "NAME|FILE"),
        None,
    ),
    "settings": (
        _value(
            PRESET,
            list[str] | None,
            "--set",
            "one field of the preset by dotted path, a.b=c; repeatable",
            "KEY=VALUE",
        ),
        None,
    ),
    "show_preset": (
        _switch(
            PRESET,
            "print the resolved preset as YAML with comments, and stop",
            "--show-preset",
        ),
        False,
    ),
    "explain": (
        _value(PRESET, str | None, "--explain", "say what one setting or option does, and stop", "KEY"),
        None,
    ),
    "list_the_presets": (
        _switch(PRESET, "print the presets of this command and stop", "--list-presets"),
        False,
    ),
    "seed": (_field(int | None, "--seed", "seed"), None),
    "device": (_field(str | None, "--device", "device", "auto|cpu|cuda|cuda:N|mps"), None),
    "precision": (_field(str | None, "--precision", "precision"), None),
    "dry_run": (_switch(RUN, "validate everything, print an estimate, write nothing", "--dry-run"), False),
    "out": (_value(OUTPUT, Path | None, "--out", "where the result is written", "DIR|FILE"), None),
    "resume": (_switch(OUTPUT, "continue the run in --out", "--resume"), False),
    "overwrite": (_switch(OUTPUT, "replace what is in --out", "--overwrite"), False),
    "json_output": (_switch(OUTPUT, "JSON on stdout and nothing else there", "--json"), False),
    "quiet": (_switch(OUTPUT, "only warnings and errors", "--quiet", "-q"), False),
    "verbose": (
        _switch(OUTPUT, "also say which settings differ from the defaults", "--verbose", "-v"),
        False,
    ),
    "debug": (_switch(OUTPUT, "show tracebacks", "--debug"), False),
}
