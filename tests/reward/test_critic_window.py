"""`critic_window`: a published preference critic judges in the window it was trained with, or at true lengths."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from motionrft.data import MotionDataset, pad
from motionrft.lengths import zero_padding
from motionrft.loading import load_reward
from motionrft.official.rewards import convert_reward
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft_cli import main as program
from tests.reward.published import write_backbone, write_critic, write_tmr

WINDOW = 40


def test_shorter_motions_are_padded_and_attended_to_the_window(
    checkpoints: Path, reward: MotionReward, dataset: MotionDataset
) -> None:
    """As plainly written as the published training did it: zeros after normalisation, all of them declared valid."""
    path, critic = write_backbone(checkpoints, reward.network), write_critic(checkpoints, reward.network)
    convert_reward(path, checkpoints / "out", critic_window=WINDOW)
    windowed = load_reward(checkpoints / "out", {"preference": 1.0})
    motion, lengths = pad([dataset.motion(number) for number in range(3)])
    normalised = zero_padding(reward.normalise(motion, lengths, "kinematic"), lengths)
    normalised = F.pad(normalised, (0, 0, 0, WINDOW - motion.shape[1]))
    expected = critic(reward.network.motion, normalised, torch.full((3,), WINDOW), "kinematic")[:, 0]
    scores = windowed(motion, lengths, windowed.prepare([]))[0]
    torch.testing.assert_close(scores, expected)
    at_true_lengths = load_reward(path, {"preference": 1.0})
    assert not torch.allclose(at_true_lengths(motion, lengths, windowed.prepare([]))[0], scores)


def test_a_score_does_not_depend_on_longer_neighbours(
    checkpoints: Path, reward: MotionReward, dataset: MotionDataset
) -> None:
    """Clip 7 has more frames than the window."""
    write_critic(checkpoints, reward.network)
    convert_reward(write_backbone(checkpoints, reward.network), checkpoints / "out", critic_window=WINDOW)
    windowed = load_reward(checkpoints / "out", {"preference": 1.0})
    clips = [dataset.motion(number) for number in (0, 7)]
    assert len(clips[1]) > WINDOW
    together = windowed(*pad(clips), windowed.prepare([]))[0]
    alone = [windowed(*pad([clip]), windowed.prepare([]))[0] for clip in clips]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_program_sets_it_and_the_card_says_it(checkpoints: Path, reward: MotionReward) -> None:
    path, out = write_backbone(checkpoints, reward.network), checkpoints / "out"
    write_critic(checkpoints, reward.network)
    words = ["convert", str(path), "--to", "motionrft", "--out", str(out), "--set", f"critic_window={WINDOW}"]
    assert program.run(words) == 0
    assert load_reward(out).critic_window == WINDOW  # type: ignore[attr-defined]
    assert f"critic window: {WINDOW} frames" in (out / "README.md").read_text()
    assert load_reward(path).critic_window is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["no critic", "another reward", "too long"])
def test_a_window_that_fits_nothing_is_refused(
    checkpoints: Path, reward: MotionReward, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    path = write_tmr(checkpoints) if what == "another reward" else write_backbone(checkpoints, reward.network)
    if what == "too long":
        write_critic(checkpoints, reward.network)
    out, window = checkpoints / "out", 59 if what == "too long" else WINDOW
    words = ["convert", str(path), "--to", "motionrft", "--out", str(out), "--set", f"critic_window={window}"]
    assert program.run(words) == 2 and not out.exists()
    err = capfd.readouterr().err
    assert ("reads at most 58 frames" if what == "too long" else "no preference critic") in err
