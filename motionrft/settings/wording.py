"""A field's default and its legal values in words, for pages, helps and comments."""

from collections.abc import Mapping
from typing import Any

from annotated_types import Ge, Gt, Interval, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from motionrft.settings.fields import choices_of, is_open

_BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}
_UNTOLD = 1e15
"""A bound beyond this only keeps a number within its 64 bits."""


def value_words(value: Any) -> str:
    """A value as a person writes it: `1e-05`, `true`, `npy, bvh`, `semantic: 1`; what is empty by a word."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or "none"
    return (f"{value:g}" if isinstance(value, float) else str(value)) or "empty"


def legal_words(field: FieldInfo) -> str:
    """The words of a choice, `names: values`, or bounds: `> 0, ≤ 1`; empty where anything goes."""
    if words := choices_of(field):
        return ", ".join(words)
    if is_open(field):
        return "names: values"
    bounds = [bound for item in field.metadata for bound in (item if isinstance(item, Interval) else [item])]
    told = [
        f"{sign} {getattr(bound, key):g}"
        for bound in bounds
        for kind, (key, sign) in _BOUNDS.items()
        if isinstance(bound, kind) and abs(getattr(bound, key)) < _UNTOLD
    ]
    if any(isinstance(bound, MinLen) for bound in bounds):
        told.append("at least one")
    return ", ".join(told)


def default_of(model: BaseModel, path: str) -> Any:
    """What a dotted path holds in a preset as it is by default; a choice between models by its name.

    Raises:
        AttributeError: another variant has the field, or none.
    """
    value: Any = model
    field: FieldInfo | None = None
    for name in path.split("."):
        field, value = type(value).model_fields.get(name), getattr(value, name)
    if field is not None and isinstance(field.discriminator, str):
        return getattr(value, field.discriminator)
    return value
