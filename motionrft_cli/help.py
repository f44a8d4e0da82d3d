"""Help texts: what a command does, its options with their defaults, examples to paste. They fit the terminal."""

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from motionrft_cli.described import NO_BREAK, Described

WIDEST = 100
"""Columns: longer lines are hard to follow."""
SIDE_BY_SIDE = 64
"""Columns from which a text stands beside its option; below, under it."""
LEFT = 28
"""Columns for an option and its value; a longer one has a line of its own."""
PANELS = ("Arguments", "Options", "Reading motions", "Preset", "Run", "Output")
HELP = Described("help", ("--help", "-h"), "", "show this message and stop", "", "Output")

PROGRAM = (
    Described("version", ("--version",), "", "print the version and stop", "", "Options"),
    Described(
        "show_completion",
        ("--show-completion",),
        "bash|zsh|fish",
        "print a completion script for your shell and stop",
        "",
        "Options",
    ),
)
"""The options of the program itself, before any command."""


def terminal_width() -> int:
    """Columns of the terminal, or of COLUMNS; 80 where neither is known."""
    return max(min(shutil.get_terminal_size((80, 24)).columns, WIDEST), 20)


def command_help(
    name: str, text: str, options: Sequence[Described], examples: Sequence[str], width: int
) -> str:
    """The help of one command.

    Args:
        text: the docstring; its first line and its paragraphs.
        width: columns that no line exceeds.
    """
    arguments = [f"[{_name(each)}]" for each in options if not each.flags]
    lines = [*_wrapped(" ".join(["Usage: motionrft", name, "[OPTIONS]", *arguments]), width, hang=4), ""]
    for paragraph in textwrap.dedent(text).strip().split("\n\n"):
        lines += [*_wrapped(" ".join(paragraph.split()), width), ""]
    panels: dict[str, list[Described]] = {panel: [] for panel in PANELS}
    for each in [*options, HELP]:
        panels.setdefault(each.panel, []).append(each)
    for panel, inside in panels.items():
        if not inside:
            continue
        rows = [(_name(each), each.text) for each in inside]
        lines += [_bold(f"{panel}:"), *_rows(rows, width), ""]
    lines += [_bold("Examples:"), *(line for example in examples for line in _example(example, width))]
    return "\n".join(lines) + "\n"


def program_help(text: str, commands: Mapping[str, str], example: str, width: int) -> str:
    """The help of the program: its commands, a line each."""
    lines = ["Usage: motionrft [OPTIONS] COMMAND ...", "", *_wrapped(text, width), ""]
    lines += [_bold("Commands, in the order of the pipeline:"), *_rows(commands.items(), width, 16), ""]
    rows = [(_name(each), each.text) for each in (*PROGRAM, HELP)]
    lines += [_bold("Options:"), *_rows(rows, width, 34), ""]
    lines += [*_wrapped("motionrft COMMAND --help tells the options of a command.", width), ""]
    lines += [_bold("Start here:"), *_example(example, width)]
    return "\n".join(lines) + "\n"


def _name(option: Described) -> str:
    """`--seed N`, `--quiet, -q`, `INPUT...`."""
    if not option.flags:
        return option.value
    between = ", " if any(not flag.startswith("--") for flag in option.flags) else " or "
    return " ".join([between.join(option.flags), option.value]).rstrip()


def _rows(rows: Iterable[tuple[str, str]], width: int, left: int = LEFT) -> Iterator[str]:
    for name, text in rows:
        if width < SIDE_BY_SIDE:
            yield from _wrapped(f"  {name}", width, hang=4)
            yield from _wrapped(f"      {text}", width, hang=6)
            continue
        first, *further = _wrapped(text, width - left)
        if len(name) + 4 > left:
            yield f"  {name}"
            yield " " * left + first
        else:
            yield f"  {name}".ljust(left) + first
        yield from (" " * left + line for line in further)


def _example(example: str, width: int) -> Iterator[str]:
    """On one line where it fits, else continued at its options, so that it can be pasted all the same."""
    line, rest = "  ", _pieces(example)
    for place, piece in enumerate(rest):
        last = place == len(rest) - 1
        if line.strip() and len(line) + len(piece) + (1 if last else 3) > width:
            yield f"{line} \\"
            line = "      "
        line += (" " if line.strip() else "") + piece
    yield line


def _pieces(example: str) -> list[str]:
    """Words as written, each option with its value."""
    pieces: list[str] = []
    for word in shlex.split(example, posix=False):
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1] and not word.startswith("-"):
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces


def _wrapped(text: str, width: int, hang: int = 0) -> list[str]:
    lines = textwrap.wrap(text, width, subsequent_indent=" " * hang, break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines] or [""]


def _bold(text: str) -> str:
    poor = "NO_COLOR" in os.environ or os.environ.get("TERM") in (None, "dumb")
    return text if poor or not sys.stdout.isatty() else f"\x1b[1m{text}\x1b[0m"
