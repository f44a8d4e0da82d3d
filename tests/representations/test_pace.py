"""Another time for the same motion: its length, its ends, its order of poses; rests where the body is quiet."""

from random import Random

import pytest
import torch

from motionrft.representations.pace import paced


def swing(frames: int = 40) -> torch.Tensor:
    """(T, 22, 3): one hand goes up and comes down, fast in between and quiet at both ends."""
    joints = torch.zeros(frames, 22, 3, dtype=torch.float64)
    joints[:, 20, 1] = (1 - torch.cos(torch.linspace(0, 2 * torch.pi, frames, dtype=torch.float64))) / 2
    return joints


@pytest.mark.parametrize("frames", [25, 40, 90, 120])
@pytest.mark.parametrize("seed", range(4))
def test_a_motion_takes_as_long_as_asked_and_begins_and_ends_as_it_did(frames: int, seed: int) -> None:
    made = paced(swing(), frames, Random(seed))
    assert made.shape == (frames, 22, 3)
    assert torch.allclose(made[0], swing()[0], atol=1e-6) and torch.allclose(made[-1], swing()[-1], atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_hand_goes_up_once_however_long_it_takes(seed: int) -> None:
    height = paced(swing(), 110, Random(seed))[:, 20, 1]
    top = int(height.argmax())
    assert height[top] > 0.95
    assert (height[: top + 1].diff() > -1e-3).all() and (height[top:].diff() < 1e-3).all()


def test_rests_are_where_the_body_is_quiet() -> None:
    for seed in range(8):
        made = paced(swing(), 110, Random(seed))[:, 20, 1]
        still = made[:-1][made.diff().abs() < 2e-3]
        assert (((still < 0.25) | (still > 0.75)).float().mean() > 0.9) or len(still) < 5


def test_the_same_seed_gives_the_same() -> None:
    assert torch.equal(paced(swing(), 90, Random(3)), paced(swing(), 90, Random(3)))
