"""How a command's parameters become Typer's: preset fields lend their help and their legal words."""

from copy import copy
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import OptionInfo, ParameterInfo

from motionrft.settings.base import Preset
from motionrft.settings.fields import choices_of, field_at


@dataclass(frozen=True)
class sets:
    """Marks a parameter as the flag of one preset field; in lower case, for it reads as a word."""

    path: str


def field_of(parameter: Parameter) -> str | None:
    """The preset field that a parameter sets, if it is marked so."""
    return next((mark.path for mark in marks_of(parameter) if isinstance(mark, sets)), None)


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
    return keyword(parameter.name, annotation, default)


def _described(parameter: Parameter, model: type[Preset]) -> Any:
    path = field_of(parameter) or ""
    field = field_at(model, path)
    if field is None:
        raise TypeError(f"{model.__name__} has no field {path!r} (parameter {parameter.name})")
    option = copy(
        next((mark for mark in marks_of(parameter) if isinstance(mark, ParameterInfo)), typer.Option())
    )
    option.help = option.help or field.description or ""
    base = get_args(parameter.annotation)[0]
    if choices_of(field) and get_origin(base) is not list:
        base = str | None  # the preset knows the words, and names the nearest one when it is told another
    return Annotated[base, option, sets(path)]


def _optional(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return Annotated[(base | None, *marks)]
    return annotation | None


def marks_of(parameter: Parameter) -> tuple[Any, ...]:
    """What an annotation says besides the type."""
    return get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()


def flag_of(parameter: Parameter) -> str:
    """The parameter as the user types it: `--time-limit`, or `MOTIONS` for an argument."""
    info = next((mark for mark in marks_of(parameter) if isinstance(mark, ParameterInfo)), None)
    if info is not None and not isinstance(info, OptionInfo):
        return (info.metavar or parameter.name).upper()
    declared = (info.default, *(info.param_decls or ())) if info is not None else ()
    flags = [text for text in declared if isinstance(text, str) and text.startswith("--")]
    return flags[0] if flags else f"--{parameter.name.replace('_', '-')}"
