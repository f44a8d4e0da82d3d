"""Turns pydantic's list of errors into sentences: field, value, what is legal, the nearest valid names."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from motionrft.settings.fields import is_open, models_of


def explain(error: ValidationError, model: type[BaseModel], source: Callable[[str], str]) -> str:
    """All mistakes of one validation, a line each.

    Args:
        error: what pydantic raised.
        model: the model that was validated.
        source: says for a dotted path where its value came from (a file, a flag).
    """
    lines = [_sentence(item, model, source) for item in error.errors(include_url=False)]
    return "\n".join(dict.fromkeys(lines))


def unknown_field(path: str, model: type[BaseModel]) -> str | None:
    """What is wrong with the dotted path of a field or a group, with the nearest names; None when it is one."""
    parents: list[type[BaseModel]] = [model]
    for name in path.split("."):
        fields = [parent.model_fields[name] for parent in parents if name in parent.model_fields]
        if not fields:
            valid = sorted({field for parent in parents for field in parent.model_fields})
            return f"unknown field. {_nearest(name, valid)}" if valid else "unknown field; it has no parts"
        if any(is_open(field) for field in fields):
            return None
        parents = [found for field in fields for found in models_of(field.annotation)]
    return None


def _sentence(item: Any, model: type[BaseModel], source: Callable[[str], str]) -> str:
    path, parents = _walk(item["loc"], model)
    subject = _subject(".".join(path), source(".".join(path)))
    kind = item["type"]
    if kind == "extra_forbidden":
        valid = sorted({field for parent in parents for field in parent.model_fields})
        return f"{subject}: unknown field (value {_short(item['input'])}). {_nearest(path[-1], valid)}"
    if kind == "missing":
        return f"{subject}: missing"
    if kind == "union_tag_invalid":
        tag, tags = item["ctx"]["tag"], item["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{subject} = {_short(tag)}: there are {', '.join(tags)}{_did_you_mean(tag, tags)}"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message[:1].lower() + message[1:] if message.startswith("Input") else message
    if kind == "literal_error":
        words = item["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        message += _did_you_mean(str(item["input"]), words)
    if not path:
        return f"{subject}: {message}" if subject else message
    return f"{subject} = {_short(item['input'])}: {message}"


def _subject(name: str, source: str) -> str:
    """What the sentence is about: a flag stands for its field, a file or a variable is named beside it."""
    if source.startswith("--") and (source == f"--set {name}" or not source.startswith("--set")):
        return source
    return ": ".join(part for part in (source, name) if part)


def _did_you_mean(word: str, words: list[str]) -> str:
    close = get_close_matches(word, words, n=1, cutoff=0.5)
    return f". Did you mean {close[0]}?" if close else ""


def _nearest(name: str, valid: list[str]) -> str:
    close = get_close_matches(name, valid, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(close)}?" if close else f"Valid names: {', '.join(valid)}"


def _short(value: Any, limit: int = 60) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _walk(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """The path as the user writes it (pydantic adds union tags), and the models owning its last name."""
    path: list[str] = []
    parents = [model]
    for step in location:
        tagged = [parent for parent in parents if _has_tag(parent, step)]
        fields = [parent.model_fields[str(step)] for parent in parents if str(step) in parent.model_fields]
        if not fields and tagged and path:
            parents = tagged
            continue
        if not fields and path and step in {"function-wrap", "function-after", "function-before"}:
            continue
        path.append(str(step))
        if fields and step != location[-1]:
            parents = [found for field in fields for found in models_of(field.annotation)] or parents
        elif fields:
            parents = parents if step == location[-1] else []
    return path, parents


def _has_tag(model: type[BaseModel], tag: int | str) -> bool:
    return any(field.default == tag for field in model.model_fields.values()) or model.__name__ == tag
