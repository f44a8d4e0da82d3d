"""Fields that may name code of the user's own, as `module:attribute`: only the command line may do so.

A preset file, an environment variable or a model folder that came from elsewhere must not decide what is imported.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from motionrft.errors import UserError

_PLACE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

CODE: dict[str, Any] = {"code": True}
"""`Field(json_schema_extra=CODE)`: the field, or its keys, may name code."""


def is_place(text: object) -> bool:
    """Whether a value reads as `module:attribute`."""
    return isinstance(text, str) and _PLACE.fullmatch(text) is not None


def places(values: Mapping[str, Any], model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """(field, place) for each piece of code that `values` name, at any depth: a comparison's methods have presets too."""
    fields = {name for name, field in model.model_fields.items() if _may_name_code(field.json_schema_extra)}
    return _places(values, fields)


def refuse(field: str, place: str, source: str) -> UserError:
    """The error about a place that a source names which may not."""
    flag = f"--set {field}.{place}=1" if field == "weights" else f"--{field} {place}"
    return UserError(
        f"{source}: {field} names code of its own ({place}), and that is only imported where you name it yourself: "
        f"repeat it on the command line ({flag})."
    )


def _may_name_code(extra: Any) -> bool:
    return isinstance(extra, Mapping) and bool(extra.get("code"))


def _places(values: Mapping[str, Any], fields: set[str]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if name in fields:
            named = [value] if not isinstance(value, Mapping) else list(value)
            yield from ((name, word) for word in named if is_place(word))
        if isinstance(value, Mapping):
            yield from _places(value, fields)
