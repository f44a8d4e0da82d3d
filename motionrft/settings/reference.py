"""Every setting of some presets as a page: path, default, what is legal, what it means. Generated from the models."""

from collections.abc import Iterator, Mapping
from typing import Any

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from motionrft.settings.base import Preset
from motionrft.settings.fields import choices_of, is_open, models_of

HEAD = """# Every setting

Generated from the models by `make reference`; a test compares. A setting is a field of a YAML preset
(`presets/COMMAND/NAME.yaml`, `--preset NAME|FILE`), `--set PATH=VALUE`, the environment's `MOTIONRFT_SET_PATH` with two
underscores for a dot, and, where one is named, a flag. Precedence: flag, `--set`, environment, file, default.
`motionrft COMMAND --show-preset` prints all of them resolved, `--list-presets` the presets here.
"""
_BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def reference(commands: Mapping[str, tuple[type[Preset], Mapping[str, str]]]) -> str:
    """The page.

    Args:
        commands: name of each command to its preset's model, and dotted path to the flag that sets it.
    """
    parts = [HEAD]
    for name, (model, flags) in commands.items():
        parts += [f"\n## {name}\n", *_tables(model, flags)]
    return "\n".join(parts).rstrip() + "\n"


def _tables(model: type[BaseModel], flags: Mapping[str, str]) -> Iterator[str]:
    """The table of the fields, and one for each variant of a choice between models."""
    variants: list[tuple[str, FieldInfo]] = []
    yield _table(_rows(model, flags, variants=variants))
    for path, field in variants:
        for each in models_of(field.annotation):
            tag = str(field.discriminator)
            word = each.model_fields[tag].default
            rows = [row for row in _rows(each, flags, f"{path}.") if row[0] != f"`{path}.{tag}`"]
            yield f"\n**{path}: {word}**\n\n{_table(rows)}"


def _table(rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = [
        " | ".join(row) for row in [("setting", "default", "legal", "what", "flag"), ("---",) * 5, *rows]
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _rows(
    model: type[BaseModel],
    flags: Mapping[str, str],
    prefix: str = "",
    default: BaseModel | None = None,
    variants: list[tuple[str, FieldInfo]] | None = None,
) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        path = prefix + name
        value = (
            getattr(default, name) if default is not None else field.get_default(call_default_factory=True)
        )
        if isinstance(field.discriminator, str):
            value = getattr(value, field.discriminator)
            if variants is not None:
                variants.append((path, field))
        elif isinstance(value, BaseModel):
            yield from _rows(type(value), flags, f"{path}.", value, variants)
            continue
        flag = f"`{flags[path]}`" if path in flags else ""
        yield f"`{path}`", _default(value), _legal(field), _escaped(field.description or ""), flag


def _default(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return _escaped(", ".join(map(str, value))) or "none"
    if isinstance(value, dict):
        return _escaped(", ".join(f"{name}: {each}" for name, each in value.items())) or "none"
    return _escaped(f"{value:g}" if isinstance(value, float) else str(value)) or "empty"


def _legal(field: FieldInfo) -> str:
    if words := choices_of(field):
        return ", ".join(words)
    if is_open(field):
        return "names: values"
    bounds = [
        bound for item in field.metadata for bound in (_split(item) if isinstance(item, Interval) else [item])
    ]
    told = [
        f"{sign} {getattr(b, key):g}"
        for b in bounds
        for kind, (key, sign) in _BOUNDS.items()
        if isinstance(b, kind)
    ]
    if any(isinstance(bound, MinLen) for bound in bounds):
        told.append("at least one")
    return ", ".join(told)


def _split(item: Interval) -> list[Any]:
    return list(item)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
