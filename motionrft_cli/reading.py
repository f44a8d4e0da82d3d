"""The options of every command that reads motion files, declared once."""

from typing import Annotated, Any

import typer

from motionrft_cli.signature import sets

PANEL = "Reading motions"


def _field(kind: Any, flag: str, metavar: str | None = None) -> tuple[Any, None]:
    field = "source" if flag == "--from" else flag.removeprefix("--").replace("-", "_")
    return Annotated[kind, typer.Option(flag, rich_help_panel=PANEL, metavar=metavar), sets(field)], None


# parameter name -> (annotation, default); the fields are those of `ReadingPreset`
READING: dict[str, tuple[Any, Any]] = {
    "source": _field(str | None, "--from", "REPRESENTATION"),
    "up": _field(str | None, "--up"),
    "unit": _field(str | None, "--unit"),
    "source_fps": _field(float | None, "--source-fps"),
    "joint_map": _field(str | None, "--joint-map", "FILE"),
    "t_pose": _field(str | None, "--t-pose"),
    "start": _field(float | None, "--start", "SECONDS"),
    "end": _field(float | None, "--end", "SECONDS"),
    "split_long": _field(float | None, "--split-long", "SECONDS"),
    "cut": _field(str | None, "--cut", "FILE.csv"),
}
