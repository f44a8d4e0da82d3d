"""Generators from their configuration, and their folders on disk."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.generators.base import Generator
from motionrft.registry import GENERATORS
from motionrft.training.weights import load_state, load_weights, read_json, save_weights


def family(name: str) -> type[Generator]:
    """The class of a family, ours or one that an installed package registers; raises `UserError` for another name."""
    found: type[Generator] = GENERATORS.load(name)
    return found


def build_generator(config: dict[str, Any], origin: str = "the configuration") -> Generator:
    """A generator with fresh weights from `family` and the family's own settings.

    Raises:
        UserError: the family or a setting is unknown or impossible.
    """
    settings = dict(config)
    name = settings.pop("family", None)
    if not isinstance(name, str):
        raise UserError(f"{origin}: has no field 'family', so it is no generator of motionrft.")
    make: Callable[[dict[str, Any]], Generator] = family(name).from_config
    try:
        return make(settings)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{origin}: no {name} generator can be built from it: {error}") from None


def save_generator(
    generator: Generator,
    folder: Path | str,
    card: str | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Write a generator's folder: weights, statistics, `config.json`, and a card. The text encoder is only
    named.

    Args:
        defaults: settings such as `guidance` and `steps` that replace the configuration's; unknown ones are left out.
    """
    config = {"family": generator.family, **generator.to_config()}
    config.update({name: value for name, value in (defaults or {}).items() if name in config})
    save_weights(folder, generator.state_dict(), config, card)


def load_generator(folder: Path | str, device: str = "cpu") -> Generator:
    """Read a folder that `save_generator` wrote, in evaluation mode.

    Raises:
        UserError: missing, damaged, not a generator, or weights that do not fit their configuration.
    """
    path = Path(folder)
    if (path / "config.json").is_file() and "family" not in read_json(path / "config.json"):
        raise UserError(f"{path}: a model of motionrft, but no generator (its config.json has no family).")
    tensors, config = load_weights(path)
    generator = build_generator(config, str(path / "config.json"))
    load_state(generator, tensors, str(path))
    return generator.to(device).eval()
