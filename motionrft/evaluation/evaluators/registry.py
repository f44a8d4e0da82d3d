"""Evaluators by folder: ours say their family in `config.json`, published ones are known by their files."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.guo import GuoEvaluator, GuoNetwork, GuoSize
from motionrft.evaluation.evaluators.mini import MiniEvaluator, MiniEvaluatorNetwork, MiniSize
from motionrft.evaluation.evaluators.words import WordVectorizer
from motionrft.official.evaluators import EvaluatorFiles, is_published_evaluator, read_published_evaluator
from motionrft.representations.statistics import Statistics
from motionrft.text import load_text_encoder
from motionrft.training.fingerprints import file_hash, text_hash
from motionrft.training.weights import CONFIG, TENSORS, load_state, load_weights


def load_evaluator(folder: Path | str, device: torch.device | str = "cpu") -> Evaluator:
    """Load an evaluator, frozen and in eval mode.

    Args:
        folder: one of ours (`motionrft train-reward --preset evaluator-mini` writes them), or the published
            `checkpoints/t2m`, `checkpoints/kit` of Guo et al. with `glove/` in it or beside it.

    Raises:
        UserError: the folder holds no evaluator, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    if is_published_evaluator(folder):
        evaluator: Evaluator = _guo(read_published_evaluator(folder), folder)
    elif (folder / CONFIG).is_file():
        tensors, config = load_weights(folder)
        family = config.get("family")
        if family not in FAMILIES:
            raise UserError(
                f"{folder}: no evaluator: its family is {family!r}, known are {', '.join(FAMILIES)}."
            )
        evaluator = FAMILIES[family](folder, tensors, config)
    else:
        raise UserError(
            f"{folder}: no evaluator there. Needed are model.safetensors and config.json of ours, or "
            "text_mot_match/model/finest.tar of Guo et al.; "
            "`motionrft train-reward --preset evaluator-mini` trains one."
        )
    return evaluator.to(device).eval().requires_grad_(False)


def _mini(folder: Path, tensors: dict[str, Tensor], config: dict) -> Evaluator:
    network = MiniEvaluatorNetwork(MiniSize(**config["size"]))
    tensors = {name: value.float() for name, value in tensors.items()}
    mean, std = tensors.pop("mean"), tensors.pop("std")
    load_state(network, tensors, str(folder))
    identity = text_hash("mini", file_hash(folder / TENSORS), config["text_encoder"]["identity"])
    return MiniEvaluator(
        network, mean, std, load_text_encoder(config["text_encoder"]["name"]), identity, config["fps"]
    )


def _guo(files: EvaluatorFiles, folder: Path) -> GuoEvaluator:
    network = GuoNetwork(guo_size(files.state))
    load_state(network, files.state, str(folder))
    identity = text_hash("guo", *(file_hash(path) for path in files.files))
    kit = files.mean.shape[0] == 251
    return GuoEvaluator(
        network,
        Statistics(files.mean, files.std),
        WordVectorizer(files.rows, files.vectors),
        identity,
        name="Guo et al. 2022, " + ("KIT-ML" if kit else "HumanML3D"),
        fps=12.5 if kit else 20.0,
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


FAMILIES: dict[str, Callable[[Path, dict[str, Tensor], dict], Evaluator]] = {"mini": _mini}
"""Families of our own folders, one line each."""
