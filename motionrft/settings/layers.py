"""How a preset is resolved: flag > `--set a.b=c` > environment > `--preset` file > defaults."""

import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from motionrft.errors import UserError
from motionrft.settings.base import Preset
from motionrft.settings.code import places, refuse
from motionrft.settings.discovery import find_preset
from motionrft.settings.fields import is_open, models_of
from motionrft.settings.messages import explain
from motionrft.settings.plain_yaml import read_yaml

P = TypeVar("P", bound=Preset)
ENVIRONMENT_PREFIX = "MOTIONRFT_SET_"


@dataclass(frozen=True)
class Layer:
    """Nested values and, for error messages, where they came from; `typed`: on the command line.

    path: the dotted path that names a single value, where one does.
    """

    values: dict[str, Any]
    source: str
    typed: bool = False
    path: str = ""


def resolve(
    model: type[P],
    preset: str | None = None,
    settings: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> P:
    """Build the preset a command runs with.

    Args:
        model: the command's preset class.
        preset: NAME below presets/COMMAND or a YAML file; None for the defaults alone.
        settings: the `--set` arguments, `a.b=c` each.
        flags: dotted path -> (flag's name, value) of the flags that were given.
        environment: os.environ unless a test says otherwise.

    Raises:
        UserError: every mistake at once.
    """
    environment = os.environ if environment is None else environment
    asked = [*_environment_layers(environment), *(_setting_layer(text) for text in settings)]
    asked += [Layer(nest(path, value), flag, True) for path, (flag, value) in (flags or {}).items()]
    layers = [
        *(_without_rivals(layer, asked, model) for layer in _file_layer(model, preset, environment)),
        *asked,
    ]
    _check_code(layers, model)
    variants: dict[str, str] = {}
    for layer in layers:
        variants |= chosen_variants(layer.values, (model,))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        _keep_the_others(merged, layer, layers, model, variants)
        merge(merged, layer.values, (model,), variants)
        sources |= dict.fromkeys(_paths(layer.values), layer.source)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise UserError(explain(error, model, lambda path: _source_of(path, sources))) from None


def _keep_the_others(
    merged: dict[str, Any],
    layer: Layer,
    layers: Sequence[Layer],
    model: type[Preset],
    variants: Mapping[str, str],
) -> None:
    """One entry of a dictionary (`weights.jitter=0.1`) leaves the others as the preset has them without it.

    Raises:
        UserError: the preset says the dictionary by a word (`weights: balanced`), to which nothing can be added.
    """
    name, below, _ = layer.path.partition(".")
    field = model.model_fields.get(name)
    if not below or field is None or not is_open(field) or isinstance(merged.get(name), Mapping):
        return
    if name in merged:
        raise UserError(
            f"{layer.source}: {name} is {merged[name]!r}, to which nothing can be added; write --set {name}={{...}}"
        )
    without: dict[str, Any] = {}
    for other in layers:
        if not other.path.startswith(f"{name}."):
            merge(without, other.values, (model,), variants)
    try:
        merged[name] = deepcopy(getattr(model.model_validate(without), name))
    except ValidationError:
        return  # its mistakes are told with all others


def _check_code(layers: Sequence[Layer], model: type[Preset]) -> None:
    """Code of the user's own may be named where it is also named on the command line, and nowhere else."""
    typed = {place for layer in layers if layer.typed for _, place in places(layer.values, model)}
    for layer in layers:
        for field, place in places(layer.values, model):
            if place not in typed:
                raise refuse(field, place, layer.source)


def _file_layer(model: type[Preset], preset: str | None, environment: Mapping[str, str]) -> list[Layer]:
    if preset is None:
        return []
    path = find_preset(model.command, preset, environment)
    try:
        values = read_yaml(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: a preset is a mapping of fields to values, this is a {type(values).__name__}"
        )
    return [Layer({str(key): value for key, value in values.items()}, str(path))]


def _without_rivals(file: Layer, asked: Sequence[Layer], model: type[Preset]) -> Layer:
    """The file's values but for those that the user replaced by asking for something else: epochs for updates."""
    given = {key for layer in asked for key, value in layer.values.items() if value is not None}
    gone = {rival for key, rival in model.rivals.items() if key in given and rival not in given}
    return Layer({key: value for key, value in file.values.items() if key not in gone}, file.source)


def _environment_layers(environment: Mapping[str, str]) -> list[Layer]:
    layers = []
    if environment.get("MOTIONRFT_DEVICE"):
        layers.append(Layer({"device": environment["MOTIONRFT_DEVICE"]}, "MOTIONRFT_DEVICE"))
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX) and len(name) > len(ENVIRONMENT_PREFIX):
            path = name.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".")
            layers.append(Layer(nest(path, read_yaml(environment[name], name)), name, path=path))
    return layers


def _setting_layer(text: str) -> Layer:
    path, equals, value = text.partition("=")
    if not equals or not all(path.strip().split(".")):
        raise UserError(f"--set {text}: write it as KEY=VALUE, with a dotted path as the key (a.b=c)")
    path = path.strip()
    return Layer(nest(path, read_yaml(value, f"--set {path}")), f"--set {path}", True, path)


def nest(path: str, value: Any) -> dict[str, Any]:
    """`nest("a.b", 1)` is `{"a": {"b": 1}}`."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


# A union told apart by a field (`method:`) needs care. A word stands for a variant (`method: draft` is
# `method: {method: draft}`); the last layer that names a variant chooses it; what a layer says of a variant
# that was not chosen does not count, and fields given without naming one are meant for the chosen one.


def chosen_variants(
    values: Mapping[str, Any], models: Sequence[type[BaseModel]], prefix: str = ""
) -> dict[str, str]:
    """Dotted path of each union in `values` -> the variant they name."""
    chosen: dict[str, str] = {}
    for key, field, value in _fields(values, models):
        tag = _tag(field)
        if isinstance(value, Mapping):
            if tag in value:
                chosen[prefix + key] = str(value[tag])
            chosen |= chosen_variants(value, _below(field), f"{prefix}{key}.")
    return chosen


def merge(
    base: dict[str, Any],
    update: Mapping[str, Any],
    models: Sequence[type[BaseModel]],
    variants: Mapping[str, str],
    prefix: str = "",
) -> None:
    """Lay `update` over `base`, in place, key by key; `variants` are the chosen ones of all layers."""
    for key, field, value in _fields(update, models):
        path, tag = prefix + key, _tag(field)
        if not isinstance(value, Mapping):
            base[key] = deepcopy(value)
            continue
        below = base[key] = dict(base[key]) if isinstance(base.get(key), dict) else _usual(field)
        if tag is not None:
            default = getattr(field.default, tag, None) if field is not None else None
            below[tag] = variants.get(path, default)
            if str(value.get(tag, below[tag])) != below[tag]:
                continue
        merge(below, value, _below(field), variants, f"{path}.")


def _fields(
    values: Mapping[str, Any], models: Sequence[type[BaseModel]]
) -> Iterator[tuple[str, FieldInfo | None, Any]]:
    """Each key with its field, if the models have it, and its value, a variant's name written out."""
    for key, value in values.items():
        field = next((model.model_fields[key] for model in models if key in model.model_fields), None)
        tag = _tag(field)
        yield str(key), field, {tag: value} if tag is not None and isinstance(value, str) else value


def _usual(field: FieldInfo | None) -> dict[str, Any]:
    """What a group of fields holds where a layer says only some of it: the default of this field, not of its type."""
    default = None if field is None or _tag(field) is not None else field.default
    return default.model_dump() if isinstance(default, BaseModel) else {}


def _tag(field: FieldInfo | None) -> str | None:
    return field.discriminator if field is not None and isinstance(field.discriminator, str) else None


def _below(field: FieldInfo | None) -> tuple[type[BaseModel], ...]:
    return tuple(models_of(field.annotation)) if field is not None else ()


def _paths(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    paths = []
    for key, value in values.items():
        paths.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            paths += _paths(value, f"{prefix}{key}.")
    return paths


def _source_of(path: str, sources: Mapping[str, str]) -> str:
    """The source of the nearest enclosing path: a value inside a list is found under the list's name."""
    while path and path not in sources:
        path = path.rpartition(".")[0]
    return sources.get(path, "")
