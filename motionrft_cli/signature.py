"""How a command's parameters become Typer's: preset fields lend their help and their legal words."""

from copy import copy
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import OptionInfo, ParameterInfo

from motionrft.settings.base import Preset
from motionrft.settings.fields import choices_of, field_at

METAVAR_WIDTH = 28  # columns; more legal words than that are listed in the help text instead


@dataclass(frozen=True)
class sets:
    """Marks a parameter as the flag of one preset field; in lower case, for it reads as a word."""

    path: str


def field_of(parameter: Parameter) -> str | None:
    """The preset field that a parameter sets, if it is marked so."""
    return next((mark.path for mark in _marks(parameter) if isinstance(mark, sets)), None)


def keyword(name: str, annotation: Any, default: Any) -> Parameter:
    """A keyword parameter; `inspect` asks for more words than the thought has."""
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def typer_parameter(parameter: Parameter, model: type[Preset]) -> Parameter:
    """The parameter as Typer shall see it: help from the preset's field, and never required at parse time.

    --show-preset and --list-presets must work without the arguments that the command itself needs;
    `motionrft_cli.options.command` asks for those later.
    """
    annotation, default = parameter.annotation, parameter.default
    if field_of(parameter) is not None:
        annotation = _described(parameter, model)
    if default is Parameter.empty:
        annotation, default = _optional(annotation), None
    return keyword(parameter.name, _switch(annotation), default)


def _switch(annotation: Any) -> Any:
    """A yes-or-no option takes no value, so its help shall not show one."""
    if get_origin(annotation) is not Annotated:
        return annotation
    base, *marks = get_args(annotation)
    if base not in (bool, bool | None):
        return annotation
    plain = [copy(mark) if isinstance(mark, OptionInfo) else mark for mark in marks]
    for mark in plain:
        if isinstance(mark, OptionInfo):
            mark.metavar = ""
    return Annotated[(base, *plain)]


def _described(parameter: Parameter, model: type[Preset]) -> Any:
    path = field_of(parameter) or ""
    field = field_at(model, path)
    if field is None:
        raise TypeError(f"{model.__name__} has no field {path!r} (parameter {parameter.name})")
    option = copy(
        next((mark for mark in _marks(parameter) if isinstance(mark, ParameterInfo)), typer.Option())
    )
    option.help = option.help or field.description or ""
    base = get_args(parameter.annotation)[0]
    if (choices := choices_of(field)) and get_origin(base) is not list:
        base = str | None  # the preset knows the words, and names the nearest one when it is told another
        option.metavar = "|".join(choices)
        if len(option.metavar) > METAVAR_WIDTH:
            option.metavar = "NAME"
            missing = not all(choice in option.help for choice in choices)
            option.help += f"{': ' if option.help else ''}{', '.join(choices)}" if missing else ""
    return Annotated[base, option, sets(path)]


def _optional(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return Annotated[(base | None, *marks)]
    return annotation | None


def _marks(parameter: Parameter) -> tuple[Any, ...]:
    return get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()


def flag_of(parameter: Parameter) -> str:
    """The parameter as the user types it: `--time-limit`, or `MOTIONS` for an argument."""
    info = next((mark for mark in _marks(parameter) if isinstance(mark, ParameterInfo)), None)
    if info is not None and not isinstance(info, OptionInfo):
        return (info.metavar or parameter.name).upper()
    declared = (info.default, *(info.param_decls or ())) if info is not None else ()
    flags = [text for text in declared if isinstance(text, str) and text.startswith("--")]
    return flags[0] if flags else f"--{parameter.name.replace('_', '-')}"
