"""The generator families by name, one line each, and their folders on disk."""

import difflib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.generators.base import Generator
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.training.weights import load_state, load_weights, read_json, save_weights

ENTRY_POINTS = "motionrft.generators"
"""Entry-point group of families that other packages bring: name = module:class of a `Generator`."""

SAMPLING = "sampling"
"""Where `config.json` says what the weights were tuned with."""

FAMILIES = {
    "mld": "motionrft.generators.mld:Mld",
    "mdm": "motionrft.generators.mdm:Mdm",
    "motiondiffuse": "motionrft.generators.motiondiffuse:MotionDiffuse",
    "acmdm": "motionrft.generators.acmdm:Acmdm",
    "hymotion": "motionrft.generators.hymotion:HyMotion",
    "stablemofusion": "motionrft.generators.stablemofusion:StableMoFusion",
}
"""Where each family's class is. Modules are imported when asked for, so one family's needs burden no other.
"""


def family(name: str) -> type[Generator]:
    """The class of a family, ours or one that an installed package registers.

    Raises:
        UserError: nobody has that name.
    """
    if name in FAMILIES:
        module, _, attribute = FAMILIES[name].partition(":")
        return getattr(import_module(module), attribute)
    brought = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in brought:
        return brought[name].load()
    known = [*FAMILIES, *brought]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UserError(f"no generator family is called {name!r}; there are {', '.join(known)}.{hint}")


def build_generator(config: dict[str, Any], origin: str = "the configuration") -> Generator:
    """A generator with fresh weights from `family` and the family's own settings.

    Raises:
        UserError: the family or a setting is unknown or impossible.
    """
    settings = dict(config)
    name, sampling = settings.pop("family", None), settings.pop(SAMPLING, None)
    if not isinstance(name, str):
        raise UserError(f"{origin}: has no field 'family', so it is no generator of motionrft.")
    make: Callable[[dict[str, Any]], Generator] = family(name).from_config
    try:
        generator = make(settings)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(f"{origin}: no {name} generator can be built from it: {error}") from None
    if sampling is not None:
        generator.tuned_with = SamplingSettings.of(sampling, origin)
    return generator


def save_generator(
    generator: Generator,
    folder: Path | str,
    card: str | None = None,
    sampling: SamplingSettings | None = None,
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
