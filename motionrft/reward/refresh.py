"""Give a reward folder its references anew: `python -m motionrft.reward.refresh REWARD DATA [REMARK]`.

Needed when a formula of physics changes, for a reward of an earlier version, or for another data set of real motion.
Weights and the rest stay as they are. DATA is a data set folder; its training split says what the reward knows, its
validation split how real motion scores.
"""

import sys
from pathlib import Path

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.reward.folder import load_motionreward
from motionrft.reward.held_out import add_references
from motionrft.training.weights import CARD, load_weights, save_weights


def refresh(folder: Path, data: Path) -> None:
    """Measure the references of a MotionReward on a data set and write them into its folder.

    Raises:
        UserError: no MotionReward there, or no data set with both splits.
    """
    reward = load_motionreward(folder)
    add_references(reward, MotionDataset(data, "train"), MotionDataset(data, "val"))
    assert reward.known is not None
    tensors, config = load_weights(folder)
    config["about"] = {**reward.about}
    config |= {"known": reward.known.config(), "known_in": reward.known_in}
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else None
    save_weights(folder, tensors | reward.known.tensors(), config, text)


if __name__ == "__main__":
    try:
        refresh(*map(Path, sys.argv[1:3]))
    except (UserError, TypeError) as error:
        sys.exit(f"{error}\n{__doc__}")
