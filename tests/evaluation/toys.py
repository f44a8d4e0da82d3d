"""A small data set and an untrained evaluator: everything an evaluation needs, in a second."""

from pathlib import Path

import numpy as np
import torch

from motionrft.evaluation.evaluators.mini import MiniEvaluator, MiniEvaluatorNetwork, MiniSize
from tests.generators.families import TEXT_WIDTH, WordEncoder

KINDS = ("walk/old", "walk/young", "wave/old", "wave/young", "turn/old", "turn/young")
CAPTIONS = {
    "walk": ("a person walks", "someone walks ahead"),
    "wave": ("a person waves the left hand", "someone waves the right hand"),
    "turn": ("a person walks and turns left", "someone makes a right turn"),
}


def write_dataset(root: Path, clips: int = 40) -> Path:
    """A folder in HumanML3D's layout: `clips` test clips of 20 to 59 frames that hardly move, of six kinds."""
    for name in ("new_joint_vecs", "texts"):
        (root / name).mkdir(parents=True)
    draws = np.random.default_rng(0)
    rows, names = ["clip_id,content,style"], [f"clip-{number:03d}" for number in range(clips)]
    for number, name in enumerate(names):
        content, style = KINDS[number % len(KINDS)].split("/")
        motion = 0.01 * draws.normal(size=(20 + number, 263))
        motion[:, 3] += 0.9
        np.save(root / "new_joint_vecs" / name, motion.astype(np.float32))
        captions = "".join(f"{text} like {style}##0.0#0.0\n" for text in CAPTIONS[content])
        (root / "texts" / f"{name}.txt").write_text(captions)
        rows.append(f"{name},{content},{style}")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    np.save(root / "Mean.npy", np.zeros(263, np.float32))
    np.save(root / "Std.npy", np.full(263, 0.01, np.float32))
    return root


def toy_evaluator(seed: int = 0) -> MiniEvaluator:
    """A narrow evaluator with random weights."""
    torch.manual_seed(seed)
    network = MiniEvaluatorNetwork(MiniSize(text=TEXT_WIDTH, width=8, hidden=8, embedding=6))
    mean, std = torch.zeros(263), torch.full((263,), 0.01)
    return MiniEvaluator(network, mean, std, WordEncoder(), f"toy-{seed}").eval().requires_grad_(False)
