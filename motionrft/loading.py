"""Models by whatever a person calls them: `builtin`, a folder, another project's checkpoint, a package's own."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from motionrft import builtin
from motionrft.errors import UserError
from motionrft.generators.asking_preset import AskingPreset
from motionrft.generators.folder import build_generator, read_generator
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.generators.wishes import read_wishes_at
from motionrft.official.generators import checkpoint_in, read_official
from motionrft.official.rewards import NOTHING_SAID, SUFFIXES, Beside, is_checkpoint, read_reward
from motionrft.registry import GENERATORS
from motionrft.reward.base import Learnt, Reward
from motionrft.reward.loading import Terms, read_reward_folder, reward_folder, weighted
from motionrft.reward.naming import is_own
from motionrft.reward.own import load_own, own_identity
from motionrft.text.choice import chosen_encoder
from motionrft.text.preset import TextPreset
from motionrft.training.fingerprints import code_hash, folder_hash, path_hash, text_hash
from motionrft.training.weights import CONFIG


def load_generator(
    path: Path | str = builtin.NAME,
    device: torch.device | str = "cpu",
    family: str | None = None,
    statistics: Path | None = None,
    **settings: Any,
) -> TextToMotion:
    """A generator in evaluation mode.

    Args:
        path: `builtin`; a folder of ours; a published checkpoint; a folder with exactly one checkpoint in it; or a name
            that a package brings, whose generator is then made with its usual settings.
        family, statistics, settings: see `motionrft.official.generators.read_official`; for checkpoints only.

    Raises:
        UserError: missing, damaged, unknown or not what it was said to be. Nothing is half-loaded.
    """
    if is_brought(str(path)):
        return build_generator({"family": str(path)}, str(path)).to(device).eval()
    path = Path(builtin.resolve(str(path), "generator"))
    if (path / CONFIG).is_file():
        return read_generator(path, str(device))
    return read_official(checkpoint_in(path), family, statistics, **settings).to(device)


def loaded_for(preset: TextPreset, generator: TextToMotion) -> TextToMotion:
    """The generator, which reads its texts as the preset says and is asked for what it says; raises as both of them."""
    features, service = preset.text_features, preset.text_service
    encoder = chosen_encoder(generator.text_encoder_name, features, service) if features or service else None
    if encoder is not None:
        generator.use_text_encoder(encoder)
    if isinstance(preset, AskingPreset):
        _ask(preset, generator)
    return generator


def _ask(preset: AskingPreset, generator: TextToMotion) -> None:
    """Ask the generator for what the preset says.

    Raises:
        UserError: the file or folder is missing or damaged, or the family takes no constraints.
    """
    heading = None if preset.heading is None else math.radians(preset.heading)
    wishes = None if preset.constraints is None else read_wishes_at(Path(preset.constraints))
    generator.ask(wishes, heading, preset.constraints or "constraints")


def generator_identity(path: Path | str) -> str:
    """A hash of what a generator is read from, or of the file of a package's class.

    Raises:
        UserError: there is no generator.
    """
    if is_brought(str(path)):
        return text_hash(str(path), code_hash(GENERATORS.load(str(path))))
    folder = Path(builtin.resolve(str(path), "generator"))
    if not folder.exists():
        raise UserError(f"{folder}: no such generator. Name a folder, or use {builtin.NAME}.")
    return path_hash(folder)


def is_brought(name: str) -> bool:
    """Whether a generator's name is a package's, and no path."""
    return name in GENERATORS and name not in GENERATORS.table and not Path(name).exists()


def load_reward(
    path: Path | str = builtin.NAME,
    weights: Mapping[str, float] | None = None,
    representation: str = "kinematic",
    fps: float = 20.0,
    device: torch.device | str = "cpu",
    beside: Beside = NOTHING_SAID,
    size: float = 1.0,
) -> Reward:
    """A reward with its terms weighed.

    Args:
        path: `builtin`; a reward's folder, or a training run with one inside; a published checkpoint, whose statistics
            (`Mean.npy` …, TMR's `mean.pt`) are looked for beside the file, in `meta/`, or in the folder above; or code
            of one's own, `my_module:my_reward` or a package's name (see `motionrft.reward.own`).
        weights: term to weight, physics terms among them; zeros are left out. None takes those it was saved with.
        representation: of the motions it shall judge, de-normalised.
        fps: of those motions; physics and code of one's own ask.
        beside: for a checkpoint, which adapters are meant, and where statistics are that do not lie beside it.
        size: what its learnt terms see joints multiplied by (`TextToMotion.size`).

    Raises:
        UserError: no reward there, a damaged one, or a term that nothing provides.
    """
    if weights is not None and not Terms.of(weights).learnt:
        return weighted(None, weights, representation, fps).to(device)
    if is_own(path):
        reward = load_own(str(path), representation, fps)
    else:
        reward = open_reward(path, beside)
    return weighted(reward, weights, representation, fps, size).to(device)


def open_reward(path: Path | str, beside: Beside = NOTHING_SAID) -> Learnt:
    """A reward with weights, from our folder or a checkpoint, all its terms at hand; raises as `load_reward`."""
    if is_checkpoint(path):
        return read_reward(Path(path), beside=beside)
    return read_reward_folder(reward_folder(path))


def reward_identity(path: Path | str, weights: Mapping[str, float] | None = None) -> str:
    """A hash of what a reward is read from: our folder, a checkpoint with whatever lies beside it, or a file of code.

    Args:
        weights: as `load_reward`, whose own terms count too.

    Raises:
        UserError: there is no reward.
    """
    own = sorted(name for name in weights or () if is_own(name) and name != path)
    if own:
        return text_hash(reward_identity(path), *map(own_identity, own))
    if is_own(path):
        return own_identity(str(path))
    if not is_checkpoint(path):
        return folder_hash(reward_folder(path))
    here = Path(path) if Path(path).is_dir() else Path(path).parent
    beside = sorted(file for file in here.iterdir() if file.suffix in (*SUFFIXES, ".npy"))
    return text_hash(*map(path_hash, [Path(path), *beside]))


def opened_reward(name: str, rank: int | None = None, data: Path | None = None) -> tuple[Learnt, str]:
    """`open_reward` with the reward's hash, for trainings that start from it; raises as `load_reward`."""
    return open_reward(name, Beside(data=data, rank=rank)), reward_identity(name)
