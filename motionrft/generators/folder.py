"""Generators from their configuration, and their folders on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.generators.text_to_motion import Sampling, TextToMotion
from motionrft.parsing import parsing, read_json
from motionrft.registry import GENERATORS
from motionrft.training.weights import check_fits, load_state, load_weights, save_weights

SAMPLING = "sampling"
"""Where `config.json` says what the weights were tuned with."""


def family(name: str) -> type[TextToMotion]:
    """The class of a family, ours or one that an installed package registers; raises `UserError` for another name."""
    found: type[TextToMotion] = GENERATORS.load(name)
    return found


def build_generator(config: dict[str, Any], origin: str = "the configuration") -> TextToMotion:
    """A generator with fresh weights from `family` and the family's own settings.

    Raises:
        UserError: the family or a setting is unknown or impossible.
    """
    settings = dict(config)
    name, sampling = settings.pop("family", None), settings.pop(SAMPLING, None)
    if not isinstance(name, str):
        raise UserError(f"{origin}: has no field 'family', so it is no generator of motionrft.")
    make: Callable[[dict[str, Any]], TextToMotion] = family(name).from_config
    with parsing(origin, f"settings of a {name} generator"):
        generator = make(settings)
    if sampling is not None:
        generator.tuned_with = generator.read_sampling(sampling, origin)
    return generator


def save_generator(
    generator: TextToMotion,
    folder: Path | str,
    card: str | None = None,
    sampling: Sampling | None = None,
) -> None:
    """Write a generator's folder: weights, statistics, `config.json`, and a card. The text encoder is only
    named.

    Args:
        sampling: what the weights were tuned with; None keeps what the generator says itself.
    """
    config = {"family": generator.family, **generator.to_config()}
    sampling = sampling or generator.tuned_with
    if sampling is not None:
        config[SAMPLING] = sampling.plain()
    save_weights(folder, generator.state_dict(), config, card)


def read_generator(folder: Path | str, device: str = "cpu") -> TextToMotion:
    """Read a folder that `save_generator` wrote, in evaluation mode.

    Raises:
        UserError: missing, damaged, not a generator, or weights that do not fit their configuration.
    """
    path = Path(folder)
    if (path / "config.json").is_file() and "family" not in read_json(path / "config.json"):
        raise UserError(f"{path}: a model of motionrft, but no generator (its config.json has no family).")
    tensors, config = load_weights(path)
    origin = str(path / "config.json")
    check_fits(lambda: build_generator(config, origin), tensors, str(path))
    generator = build_generator(config, origin)
    load_state(generator, tensors, str(path))
    return generator.to(device).eval()
