"""The executable `motionrft`: imports only the subcommand asked for, turns failures into a line and a code.

Exit codes: 0 done, 1 the run failed, 2 the input is wrong, 3 some inputs were skipped, 75 stopped by SIGTERM
and resumable, 130 interrupted with the state saved.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from motionrft.errors import Interrupted, RunError, UserError, UserErrorElsewhere, is_out_of_memory
from motionrft_cli import collecting
from motionrft_cli.commands import COMMANDS, load_command
from motionrft_cli.processes import speaks, spoken
from motionrft_cli.terminal import prepare_streams, visible
from motionrft_cli.waiting import spin_briefly

PURPOSE = "Make a text-to-motion generator better by reward."
START = "motionrft finetune --preset mini-easytune --out runs/first"


class LazyGroup(TyperGroup):
    """Knows names and one line of help for each command, and imports a command's file when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of the pipeline."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text, as wide as the terminal."""
        from motionrft_cli.help import program_help, terminal_width

        commands = {name: command.help for name, command in COMMANDS.items()}
        formatter.write(program_help(PURPOSE, commands, START, terminal_width()))

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """A stand-in that is enough for a list of commands; `resolve_command` gives the real one."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, callback=None, help=COMMANDS[cmd_name].help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run: imported now."""
        name, *rest = args
        if name not in COMMANDS:
            close = get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}."
            raise UserError(f"motionrft has no command {name!r}. {hint}")
        return name, load_command(name), rest


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from motionrft import __version__

        typer.echo(f"motionrft {__version__}")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell is not None:
        from motionrft_cli.completions import completion_script

        typer.echo(completion_script(shell), nl=False)
        raise typer.Exit


@app.callback()
def _motionrft(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    show_completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="bash|zsh|fish",
            callback=_show_completion,
            is_eager=True,
            help="Print a completion script for your shell and stop.",
        ),
    ] = None,
) -> None:
    """Make a text-to-motion generator better by reward."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line in this process.

    Args:
        arguments: what follows `motionrft`.

    Returns:
        The exit code. Failures are one message on stderr; a traceback only with --debug.
    """
    debug = "--debug" in arguments
    try:
        code = _invoke(list(arguments) or ["--help"])
        sys.stdout.flush()
        return code
    except (BrokenPipeError, SystemExit):  # rich turns the first into the second; nothing else of ours exits
        _close_stdout()
        return 0
    except BaseException as error:
        if debug:
            traceback.print_exc()
        elif speaks() or not _told_elsewhere(error):
            _say(spoken(_message(error)))
        _settle_stdout()
        return _exit_code(error)


def _invoke(arguments: list[str]) -> int:
    """What Typer's own `main` does, less its handling of errors, which differs from ours (codes, boxes)."""
    group: Any = typer.main.get_command(app)
    try:
        with group.make_context("motionrft", arguments) as context:
            return int(group.invoke(context) or 0)
    except typer.Exit as stop:
        return stop.exit_code


def _exit_code(error: BaseException) -> int:
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return 130
    wrong_path = (
        FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError | FileExistsError
    )
    return 2 if isinstance(error, UserError | typer.BadParameter | wrong_path) or _is_usage(error) else 1


def _is_usage(error: BaseException) -> bool:
    """Typer's own complaints about the command line carry exit code 2."""
    return isinstance(error, typer.TyperException) and error.exit_code == 2


def _told_elsewhere(error: BaseException) -> bool:
    """Whether every process of a run ends so, and the first of them says it."""
    return isinstance(error, UserErrorElsewhere) or (isinstance(error, Interrupted) and error.together)


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, UserError | RunError | Interrupted):
        return f"error: {error}" if not isinstance(error, Interrupted) else str(error)
    if is_out_of_memory(error):
        words = " ".join(str(error).split())[:200]
        return f"error: out of memory ({words}). Try a smaller --batch, or shorter motions."
    if isinstance(error, typer.TyperException):
        return f"error: {' '.join(error.format_message().replace('Value error, ', '').split())}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {os.fsdecode(error.filename)}: {error.strerror}"
    kind = type(error).__name__
    return f"error: {kind}: {' '.join(str(error).split())} (--debug shows where)"


def _say(message: str) -> None:
    """To stderr in one piece: unwrapped and without colour, so that scripts can read it."""
    with suppress(OSError):  # nobody listens there
        print(visible(message), file=sys.stderr, flush=True)


def _settle_stdout() -> None:
    """Empty what is still to be written, so that the interpreter's own last flush has nothing to complain of."""
    try:
        sys.stdout.flush()
    except OSError:
        _close_stdout()


def _close_stdout() -> None:
    """Give the interpreter somewhere harmless to flush to: the reader of our pipe has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of the installed script."""
    collecting.seldom()
    prepare_streams()
    spin_briefly()
    if "--debug" not in sys.argv:
        warnings.simplefilter(
            "ignore"
        )  # other libraries' notes to programmers; ours to users are lines of text
    code = run(sys.argv[1:])
    collecting.no_more()
    sys.exit(code)


if __name__ == "__main__":
    main()
