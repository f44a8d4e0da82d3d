"""A preset as YAML that teaches: beside each value what it does. It is read back as any other."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from motionrft.settings.base import Preset
from motionrft.settings.plain_yaml import write_yaml
from motionrft.settings.wording import legal_words

_ENDLESS = 1_000_000
"""Columns: a value is not folded, for a comment may only follow its end."""


def commented_yaml(preset: Preset) -> str:
    """The whole preset; passing it back as `--preset FILE` resolves to the same values."""
    head = f"# motionrft {preset.command} --preset THIS_FILE\n"
    return head + "\n".join(_lines(preset, preset.plain(), "")) + "\n"


def _lines(model: BaseModel, plain: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value, comment = getattr(model, name), _comment(field)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:{comment}"
            yield from _lines(value, plain[name], f"{indent}  ")
            continue
        first, *rest = write_yaml({name: plain[name]}, _ENDLESS).rstrip("\n").split("\n")
        if rest and not first.endswith(":"):  # a text of several lines
            yield f"{indent}{comment.strip()}"
            comment = ""
        yield f"{indent}{first}{comment}"
        yield from (f"{indent}{line}" for line in rest)


def _comment(field: FieldInfo) -> str:
    words = " ".join((field.description or "").split())
    legal = legal_words(field)
    if (
        legal
        and legal not in ("names: values", field.default)
        and not all(word in words for word in legal.split(", "))
    ):
        words += f" ({legal})" if words else legal
    return f"  # {words}" if words else ""
