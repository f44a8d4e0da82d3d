"""Dotted paths through a preset's model: which field, which models below it, which words are legal."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model inside a type: through Optional, unions, lists, dictionaries and Annotated."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
    else:
        for argument in get_args(annotation):
            yield from models_of(argument)


def field_at(model: type[BaseModel], path: str) -> FieldInfo | None:
    """The field a dotted path names, in the first variant that has it; None when there is none."""
    parents = [model]
    field: FieldInfo | None = None
    for name in path.split("."):
        field = next((parent.model_fields[name] for parent in parents if name in parent.model_fields), None)
        if field is None:
            return None
        parents = list(models_of(field.annotation))
    return field


def every_field(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted path and field of everything in a model, groups before their parts; all variants of a choice, in turn."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        for below in models_of(field.annotation):
            yield from every_field(below, f"{prefix}{name}.")


def is_open(field: FieldInfo) -> bool:
    """Whether the names below a field are the user's own: a dictionary, such as reward terms and their weights."""
    return any(get_origin(part) is dict for part in (field.annotation, *get_args(field.annotation)))


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """The words a field accepts: of a Literal, or the names of a union's variants; empty when it is open."""
    if isinstance(field.discriminator, str):
        tags = [model.model_fields[field.discriminator] for model in models_of(field.annotation)]
        return tuple(word for tag in tags for word in _words(tag.annotation))
    return tuple(_words(field.annotation))


def changed_fields(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each field that differs from its default; of another variant, what was set."""
    for name, field in type(model).model_fields.items():
        yield from _changed(name, getattr(model, name), field.get_default(call_default_factory=True))


def _changed(path: str, value: Any, default: Any) -> Iterator[tuple[str, Any]]:
    if value == default:
        return
    if not isinstance(value, BaseModel):
        yield path, value
        return
    alike = type(value) is type(default)
    for name in type(value).model_fields:
        if alike:
            yield from _changed(f"{path}.{name}", getattr(value, name), getattr(default, name))
        elif name in value.model_fields_set:
            yield f"{path}.{name}", getattr(value, name)


def separated(value: object) -> object:
    """`npy,bvh` as a list of words; anything else is left to the validator."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def suggests(*words: str) -> dict[str, Any]:
    """`Field(json_schema_extra=suggests("builtin"))`: words that completions offer, though others are legal too."""
    return {"suggests": list(words)}


def suggestions_of(field: FieldInfo) -> tuple[str, ...]:
    """The words that a shell may complete: those that are legal, or those that the field suggests."""
    extra = field.json_schema_extra
    return choices_of(field) or tuple(map(str, extra.get("suggests", ()) if isinstance(extra, dict) else ()))  # type: ignore[arg-type]


def _words(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if isinstance(word, str)]
    return [word for argument in get_args(annotation) for word in _words(argument)]
