"""Failed retrievals to look at: a caption, its own motion, and the one that the reward found in its place."""

from pathlib import Path

import numpy as np
import torch

from motionrft.data import MotionDataset
from motionrft.pictures import write_strip
from motionrft.representations.convert import convert
from motionrft.reward.spl.mining import Failures

GALLERY = "gallery"


def draw_failures(folder: Path, data: MotionDataset, name: str, failures: Failures, count: int) -> list[Path]:
    """Write up to `count` failures, spread over all of them, as `gallery/01.png` and so on; returns the files.

    Args:
        name: representation that they were mined in, and are drawn from.
    """
    rows = torch.linspace(0, len(failures.items) - 1, min(count, len(failures.items))).round().long().unique()
    files = []
    for number, row in enumerate(rows.tolist(), 1):
        item, negative = int(failures.items[row]), int(failures.negatives[row])
        caption = data.items[item].captions[int(failures.captions[row])].text
        motions = [_joints(data, place, name) for place in (item, negative)]
        file = folder / GALLERY / f"{number:02d}.png"
        file.parent.mkdir(exist_ok=True)
        files.append(write_strip(file, motions, caption, ("its own motion", "found instead"), data.fps))
    return files


def _joints(data: MotionDataset, item: int, name: str) -> np.ndarray:
    """(T, J, 3) metres."""
    motion = data.motion(item, name)[None]  # (1, T, D)
    joints = convert(motion, name, "joints")
    return joints.reshape(1, joints.shape[1], -1, 3)[0].numpy()
