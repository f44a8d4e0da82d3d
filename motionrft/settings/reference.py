"""Every setting of some presets as a page: path, default, what is legal, what it means. Generated from the models."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from motionrft.settings.base import Preset
from motionrft.settings.fields import models_of
from motionrft.settings.wording import legal_words, value_words

HEAD = """# Every setting

Generated from the models by `make reference`; a test compares. A setting is a field of a YAML preset
(`presets/COMMAND/NAME.yaml`, `--preset NAME|FILE`), `--set PATH=VALUE`, the environment's `MOTIONRFT_SET_PATH` with two
underscores for a dot, and, where one is named, a flag. Precedence: flag, `--set`, environment, file, default.
`motionrft COMMAND --show-preset` prints all of them resolved, `--list-presets` the presets here.
"""


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
        yield (
            f"`{path}`",
            _escaped(value_words(value)),
            legal_words(field),
            _escaped(field.description or ""),
            flag,
        )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
