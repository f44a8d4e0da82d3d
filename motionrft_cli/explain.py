"""--explain KEY: what one setting does, its range, its default, and every way to set it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches

from pydantic.fields import FieldInfo

from motionrft.errors import UserError
from motionrft.settings.base import Preset
from motionrft.settings.fields import every_field, field_at, is_open, models_of
from motionrft.settings.layers import ENVIRONMENT_PREFIX
from motionrft.settings.wording import default_of, legal_words, value_words
from motionrft_cli.described import Described


@dataclass(frozen=True)
class Explained:
    """One meaning of a key; a field may have another in another variant (`method.k`)."""

    key: str
    what: str
    default: str
    legal: str
    flag: str = ""
    variant: str = ""
    parts: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        told = {
            "default": self.default,
            "legal": self.legal,
            "flag": self.flag,
            "parts": ", ".join(self.parts),
        }
        head = self.key + (f" (of {self.variant})" if self.variant else "")
        return [head, f"  {self.what}", *(f"  {name + ':':9}{text}" for name, text in told.items() if text)]


def explain(key: str, model: type[Preset], options: Sequence[Described]) -> list[Explained]:
    """Every meaning of a key: a field's dotted path, the last part of one, or a flag with or without its hyphens.

    Raises:
        UserError: there is none; names the nearest.
    """
    wanted = key.lstrip("-")
    option = next((each for each in options if f"--{wanted}" in each.flags or key in each.flags), None)
    paths = list(dict.fromkeys(path for path, _ in every_field(model)))
    named = wanted.replace("-", "_")
    below = next((path for path in paths if path.endswith(f".{named}")), None)
    around = field_at(model, named.rpartition(".")[0]) if "." in named else None
    if named not in paths and around is not None and is_open(around):
        named = named.rpartition(".")[0]  # weights.jitter: an entry of weights
    if named in paths and not key.startswith("-"):
        wanted = named
    elif option is not None and option.path is None:
        return [Explained(option.flags[0], option.help, option.default, option.value)]
    elif option is None and below is None:
        raise _unknown(key, model, paths, options)
    else:
        wanted = str(below if option is None else option.path)
    flag = next((o.flags[0] for o in options if o.path == wanted and o.flags), "")
    found = [_of_field(wanted, field, variant, model, flag) for field, variant in _variants(wanted, model)]
    return list(dict.fromkeys(found))


def way_to_set(key: str) -> str:
    """How a field is set without a flag."""
    return f"--set {key}=VALUE, {ENVIRONMENT_PREFIX}{key.replace('.', '__')}, or a preset file"


def plain(found: Sequence[Explained]) -> list[dict[str, object]]:
    """For --json."""
    return [asdict(each) for each in found]


def _variants(path: str, model: type[Preset]) -> list[tuple[FieldInfo, str]]:
    """The field in each variant of the choice it lies in, with the variant's name."""
    parents: list[tuple[type, str]] = [(model, "")]
    found: list[tuple[FieldInfo, str]] = []
    for name in path.split("."):
        found = [(parent.model_fields[name], of) for parent, of in parents if name in parent.model_fields]  # type: ignore[attr-defined]
        parents = []
        for field, of in found:
            tag = field.discriminator if isinstance(field.discriminator, str) else None
            for below in models_of(field.annotation):
                parents.append((below, str(below.model_fields[tag].default) if tag else of))
    return found


def _of_field(path: str, field: FieldInfo, variant: str, model: type[Preset], flag: str) -> Explained:
    below = list(models_of(field.annotation))
    what = field.description or "a group of settings"
    if below and not isinstance(field.discriminator, str):
        return Explained(
            path, what, "", "", flag, variant, tuple(f"{path}.{n}" for n in below[0].model_fields)
        )
    try:
        value = default_of(model(), path) if not variant else field.get_default(call_default_factory=True)
    except AttributeError:
        value = field.get_default(call_default_factory=True)
    parts = tuple(dict.fromkeys(f"{path}.{name}" for each in below for name in each.model_fields))
    return Explained(path, what, value_words(value), legal_words(field), flag, variant, parts)


def _unknown(key: str, model: type[Preset], paths: Sequence[str], options: Sequence[Described]) -> UserError:
    flags = [flag for option in options for flag in option.flags]
    lasts = {path.rpartition(".")[2]: path for path in reversed(paths)}
    close = get_close_matches(key, [*paths, *lasts, *flags], n=3, cutoff=0.5)
    close = list(dict.fromkeys(lasts.get(each, each) for each in close))
    hint = f"Did you mean {' or '.join(close)}?" if close else "--show-preset prints every setting."
    return UserError(f"--explain {key}: motionrft {model.command} has no such setting. {hint}")
