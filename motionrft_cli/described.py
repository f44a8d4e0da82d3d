"""An option as people and shells are told of it: names, value, meaning, default; helps and completions are made of it."""

from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Literal, get_args, get_origin

from typer.models import OptionInfo, ParameterInfo

from motionrft.settings.base import Preset
from motionrft.settings.fields import field_at, suggestions_of
from motionrft.settings.wording import default_of, value_words
from motionrft_cli.signature import field_of, flag_of, marks_of

WIDEST = 24
"""Columns of a list of legal words; a wider one stands in the help text instead."""
BUILTIN = ("builtin", "builtin-world")
"""Names of what travels with the package."""
_PLACE, _FILE, _SECONDS = "NAME|DIR", "FILE", "SECONDS"
_VALUES: dict[str, str] = {
    **dict.fromkeys(("generator", "reward", "evaluator", "base", "teacher", "against"), _PLACE),
    **dict.fromkeys(("data", "motions"), "DIR"),
    **dict.fromkeys(
        ("pairs", "captions", "text_file", "joint_map", "splits", "cut", "files", "prompts"), _FILE
    ),
    **dict.fromkeys(("fps", "source_fps"), "FPS"),
    **dict.fromkeys(("seconds", "start", "end", "split_long"), _SECONDS),
    **dict.fromkeys(("fail_under", "fail_over"), "TERM=X"),
    **dict.fromkeys(("terms", "formats", "log"), "NAME,NAME"),
    "time_limit": "TIME",
    "length": "FRAMES",
    "text": "TEXT",
}
"""Parameter -> what its value is, where neither its type nor its legal words tell."""


NO_BREAK = "\u00a0"
"""A space at which no line is broken."""
_WHOLE = 30


@dataclass(frozen=True)
class Described:
    """One option or argument of a command.

    flags: as typed, empty for an argument. value: what stands for its value, empty for a switch. choices: words that may
    be completed. legal: no others are. path: of the preset's field that it sets.
    """

    name: str
    flags: tuple[str, ...]
    value: str
    help: str
    default: str
    panel: str
    choices: tuple[str, ...] = ()
    legal: bool = False
    path: str | None = None

    @property
    def text(self) -> str:
        """Its meaning and its default."""
        told = f"[default: {self.default}]" if self.default else ""
        # A short one stays on one line.
        return f"{self.help} {told if len(told) > _WHOLE else told.replace(' ', NO_BREAK)}".strip()


def described(parameter: Parameter, model: type[Preset], usual: Preset) -> Described:
    """What a parameter of a command is to its users.

    Args:
        parameter: as it is given to Typer (`motionrft_cli.signature.typer_parameter`).
        usual: the preset of all defaults.
    """
    info = next((mark for mark in marks_of(parameter) if isinstance(mark, ParameterInfo)), None)
    is_option = info is None or isinstance(info, OptionInfo)
    base = get_args(parameter.annotation)[0] if get_origin(parameter.annotation) else parameter.annotation
    path = field_of(parameter)
    field = field_at(model, path) if path is not None else None
    given = (info.metavar if info is not None else None) or ""
    offered = suggestions_of(field) if field is not None else ()
    choices = offered or _words(base) or _choices(given)
    legal = _legal(field, base, given)
    help = (info.help if info is not None else None) or ""
    value = _value(parameter.name, base, "" if "|" in given and legal else given, legal)
    if not is_option:
        value = flag_of(parameter) + ("..." if get_origin(_plain(base)) is list else "")
    if legal and value != "|".join(legal) and not all(word in help for word in legal):
        help += f"{': ' if help else ''}{', '.join(legal)}"
    default = _default(path, base, usual, help) if is_option else ""
    panel = (info.rich_help_panel if info is not None else None) or ("Options" if is_option else "Arguments")
    flags = _flags(parameter, info) if is_option else ()
    if value == _PLACE:
        choices = (*BUILTIN, *(word for word in choices if word not in BUILTIN))
    return Described(parameter.name, flags, value, help, default, str(panel), choices, bool(legal), path)


def _flags(parameter: Parameter, info: Any) -> tuple[str, ...]:
    declared = [info.default, *(info.param_decls or ())] if info is not None else []
    found = [
        flag for text in declared if isinstance(text, str) for flag in text.split("/") if flag[:1] == "-"
    ]
    return tuple(found) or (flag_of(parameter),)


def _legal(field: Any, base: Any, given: str) -> tuple[str, ...]:
    from motionrft.settings.fields import choices_of

    return (choices_of(field) if field is not None else ()) or _words(base) or _choices(given)


def _plain(annotation: Any) -> Any:
    """A type without `| None`."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return annotation if get_origin(annotation) is list or len(parts) != 1 else parts[0]


def _words(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    return tuple(word for part in get_args(annotation) for word in _words(part))


def _choices(metavar: str) -> tuple[str, ...]:
    """`all|one` are words to type, `DIR|FILE` is not; `cuda:N` among words stands for many."""
    words = tuple(metavar.split("|"))
    return words if len(words) > 1 and not metavar.isupper() else ()


def _value(name: str, base: Any, given: str, legal: tuple[str, ...]) -> str:
    words = "|".join(legal)
    if legal and len(words) <= WIDEST:
        return words
    if given and len(given) <= WIDEST:
        return given
    kinds = {base, *get_args(base)}
    if bool in kinds:
        return ""
    return _VALUES.get(name) or ("N" if int in kinds else "X" if float in kinds else "NAME")


def _default(path: str | None, base: Any, usual: Preset, help: str) -> str:
    if path is None:
        return "off" if base is bool else "none"
    value = default_of(usual, path)
    if value is None and "null" not in help:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value_words(value)
