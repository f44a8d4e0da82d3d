"""Evaluators by folder: ours say their family in `config.json`, published ones are known by their files."""

from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from motionrft import builtin
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.guo import GuoEvaluator, GuoNetwork, GuoSize, joint_features
from motionrft.evaluation.evaluators.mini import MiniEvaluator, MiniEvaluatorNetwork, MiniSize
from motionrft.evaluation.evaluators.towers import TowerEvaluator, TwoTowers
from motionrft.evaluation.evaluators.words import WordVectorizer
from motionrft.files.layouts import usual_fps
from motionrft.loading import load_reward, reward_identity
from motionrft.official.evaluators import (
    CHECKPOINT,
    is_published_evaluator,
    read_published_evaluator,
)
from motionrft.official.rewards import is_checkpoint
from motionrft.parsing import read_json, reads
from motionrft.registry import EVALUATORS, REWARDS
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics
from motionrft.skeleton import SMPL22
from motionrft.text import load_text_encoder
from motionrft.training.fingerprints import file_hash, text_hash
from motionrft.training.weights import CONFIG, TENSORS, check_fits, load_state, load_weights

JOINTS_WIDTHS, KIT_WIDTHS = (67, 64), (247, 64)
"""Features that are read of a frame, by which a published evaluator's version is known."""


def load_evaluator(
    folder: Path | str, device: torch.device | str = "cpu", representation: str | None = None
) -> Evaluator:
    """Load an evaluator, frozen and in eval mode.

    Args:
        folder: `builtin`; one of ours (`motionrft train-reward --preset evaluator-mini` writes them); a reward with
            two towers, folder or published checkpoint; or the published `checkpoints/t2m`, `checkpoints/kit` of Guo et
            al. with `glove/` in it or beside it.
        representation: which one a reward with several shall read; None takes its usual one.

    Raises:
        UserError: the folder holds no evaluator, or a file of it is missing or damaged.
    """
    folder = builtin.resolve(str(folder), "evaluator")
    if is_checkpoint(folder):
        return load_towers(folder, representation).to(device).eval().requires_grad_(False)
    if not is_published_evaluator(folder):
        folder = _model_folder(folder)
    evaluator: Evaluator = EVALUATORS.load(_family(folder))(folder, representation)
    return evaluator.to(device).eval().requires_grad_(False)


def _family(folder: Path) -> str:
    """Which of the table reads this folder: a published one by its files, ours by `family`, rewards as towers."""
    if is_published_evaluator(folder):
        return "guo"
    family = str(read_json(folder / CONFIG).get("family"))
    if family in EVALUATORS:
        return family
    if family in REWARDS:
        return "towers"
    raise UserError(
        f"{folder}: no evaluator: a model of the family {family!r}; known are "
        f"{', '.join([*EVALUATORS.names(), *REWARDS.names()])}."
    )


def _model_folder(folder: Path) -> Path:
    """The folder itself, or the model inside a training run."""
    below = sorted(path.name for path in folder.glob("*") if is_published_evaluator(path))
    if below:
        raise UserError(f"{folder}: holds several evaluators; name one of them: {', '.join(below)}.")
    for candidate in (folder, folder / "evaluator", folder / "reward"):
        if (candidate / CONFIG).is_file():
            return candidate
    raise UserError(
        f"{folder}: no evaluator there. Needed are {TENSORS} and {CONFIG} of ours, or {CHECKPOINT} of Guo et al.; "
        "`motionrft train-reward --preset evaluator-mini` trains one."
    )


@reads("an evaluator")
def load_towers(folder: Path, representation: str | None = None) -> TowerEvaluator:
    """A reward that embeds texts and motions, as an evaluator; raises `UserError` for one that does not."""
    reward = load_reward(folder, {"semantic": 1.0}, representation or "kinematic")
    if not hasattr(reward, "embed_motion"):
        raise UserError(
            f"{folder}: this reward has no embeddings of texts and motions, so it is no evaluator."
        )
    identity = text_hash("towers", reward_identity(folder), reward.representation)
    width = reward.kinematic_width if reward.representation == KINEMATIC else None
    usual = usual_fps(KINEMATIC, reward.kinematic_width or SMPL22.features)
    fps = float(getattr(reward, "about", {}).get("fps") or usual)
    return TowerEvaluator(cast(TwoTowers, reward), identity, f"reward {folder.name}", fps, width)


@reads("an evaluator")
def load_mini(folder: Path, representation: str | None = None) -> MiniEvaluator:
    """One of ours; it reads kinematic motions alone."""
    tensors, config = load_weights(folder)
    tensors = {name: value.float() for name, value in tensors.items()}
    mean, std = tensors.pop("mean"), tensors.pop("std")
    size = MiniSize(**config["size"])
    check_fits(lambda: MiniEvaluatorNetwork(size), tensors, str(folder))
    network = MiniEvaluatorNetwork(size)
    load_state(network, tensors, str(folder))
    identity = text_hash("mini", file_hash(folder / TENSORS), config["text_encoder"]["identity"])
    return MiniEvaluator(
        network, mean, std, load_text_encoder(config["text_encoder"]["name"]), identity, config["fps"]
    )


@reads("an evaluator of Guo et al.")
def load_guo(folder: Path, representation: str | None = None) -> GuoEvaluator:
    """The published evaluator; which representation it reads follows from its width."""
    files = read_published_evaluator(folder)
    network = GuoNetwork(guo_size(files.state))
    load_state(network, files.state, str(folder))
    identity = text_hash("guo", *(file_hash(path) for path in files.files))
    kit = network.size.motion in KIT_WIDTHS
    joints = network.size.motion in JOINTS_WIDTHS
    return GuoEvaluator(
        network,
        Statistics(files.mean, files.std),
        WordVectorizer(files.rows, files.vectors),
        identity,
        name=f"Guo et al. 2022, {'KIT-ML' if kit else 'HumanML3D'}{', joints' if joints else ''}",
        fps=12.5 if kit else 20.0,
        representation="joints" if joints else "kinematic",
        features=partial(joint_features, padding="official") if joints else None,
    )


def guo_size(state: dict[str, Tensor]) -> GuoSize:
    """Widths as the tensors have them."""
    hidden, motion = state["movement_encoder.main.0.weight"].shape[:2]
    return GuoSize(
        motion=motion,
        words=state["text_encoder.pos_emb.weight"].shape[0],
        movement_hidden=hidden,
        movement=state["movement_encoder.out_net.weight"].shape[0],
        motion_hidden=state["motion_encoder.input_emb.weight"].shape[0],
        text_hidden=state["text_encoder.input_emb.weight"].shape[0],
        embedding=state["motion_encoder.output_net.3.weight"].shape[0],
    )
