"""What shells are taught: commands, options, and the words that may stand behind them, each with a line of its own.

The scripts are static, so that a press of TAB costs nothing; only the names after `--preset` are asked for.
"""

from collections.abc import Iterator

from motionrft.errors import UserError
from motionrft.registry import FORMATS, GENERATORS, METHODS, SAMPLERS, Kind
from motionrft.settings.fields import every_field
from motionrft_cli.commands import COMMANDS, load_function, preset_model
from motionrft_cli.described import NO_BREAK, Described
from motionrft_cli.shells import bash, fish, zsh
from motionrft_cli.shells.words import SHELLS, Command, Flag, Word

LISTED = ("method", "terms", "formats", "log")
"""Parameters that take several words, with commas between."""
_TABLES: dict[str, Kind] = {
    "method": METHODS,
    "sampler": SAMPLERS,
    "family": GENERATORS,
    "to": FORMATS,
    "formats": FORMATS,
}
_WORDS = {
    "builtin": "travels along: 20 kinds of motion",
    "builtin-world": "travels along: 52 kinds of motion, alone and after each other",
    "builtin-tokens": "travels along: a language model of motion tokens",
    "generation": "R-Precision, FID, MM-Dist and physics of sampled motions",
    "retrieval": "a reward or evaluator finds motions by text",
    "preference": "a reward prefers what people prefer",
    "authenticity": "a reward tells recorded motions from made ones",
    "physics": "skating, jitter, penetration and their like",
    "events": "do events happen, in the order told, as often as told",
    "gradients": "size of the gradient at each denoising step",
    "similarity": "clean prediction against the final motion",
    "memory": "bytes held for backward against steps",
}


HELP = Flag(("--help", "-h"), "show this message and stop", takes_value=False)


def describe(name: str) -> Command:
    """The options of one command; its file is imported."""
    options = load_function(name).options
    first = next((o for o in options if not o.flags and o.choices), None)
    flags = [_flag(option) for option in options if option.flags]
    return Command(
        name,
        COMMANDS[name].help,
        (*flags, HELP),
        () if first is None else tuple(_words(first)),
        tuple(_keys(name)),
    )


def _flag(option: Described) -> Flag:
    words = tuple(_words(option))
    text = option.text.replace(NO_BREAK, " ")
    files = not option.legal and (not words or option.value == "NAME|DIR")
    return Flag(option.flags, text, bool(option.value), words, files, option.name in LISTED)


def _words(option: Described) -> Iterator[Word]:
    for word in option.choices:
        if word == word.lower():  # cuda:N stands for others
            yield Word(word, _help_of(option.name, word))


def _help_of(parameter: str, word: str) -> str:
    table = _TABLES.get(parameter)
    if table is FORMATS:
        return next((each.help for each in table.table.values() if word in each.writes), "")
    return table.help_of(word) if table is not None and word in table else _WORDS.get(word, "")


def _keys(command: str) -> Iterator[Word]:
    """Settings with a value, not groups of them, as --set takes them."""
    found: dict[str, str] = {}
    for path, field in every_field(preset_model(command)):
        found.setdefault(path, " ".join((field.description or "").split()))
    groups = {path.rpartition(".")[0] for path in found}
    kept = {path for path in found if path not in groups or found[path]}
    yield from (Word(path, found[path]) for path in found if path in kept)


def completion_script(shell: str) -> str:
    """The script that teaches a shell our commands, options and their values.

    Raises:
        UserError: the shell is not bash, zsh or fish.
    """
    if shell not in SHELLS:
        raise UserError(f"--show-completion {shell}: there are {', '.join(SHELLS)}")
    commands = [describe(name) for name in COMMANDS]
    return {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}[shell](commands)
