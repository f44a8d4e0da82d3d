"""HY-Motion: smoothing and short motions."""

import pytest
import torch

from motionrft.errors import UserError
from motionrft.representations.hymotion import hymotion_to_rotation, smooth_rotation
from tests.representations.people import rotations


def test_a_still_person_is_not_changed_by_smoothing() -> None:
    still = rotations(1, 3)[0].expand(20, 135)
    torch.testing.assert_close(smooth_rotation(still), still)


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 7, 10, 11, 30])
def test_motions_of_any_length_are_smoothed(frames: int) -> None:
    motion = rotations(frames, 3)[0]
    smooth = smooth_rotation(motion)
    assert smooth.shape == motion.shape and smooth.isfinite().all()


def test_smoothing_takes_jitter_away() -> None:
    motion = rotations(60, 4)[0]
    noisy = motion + 0.02 * torch.randn(motion.shape, generator=torch.Generator().manual_seed(1))
    smooth = smooth_rotation(noisy)
    assert smooth.diff(n=2, dim=0).abs().mean() < 0.5 * noisy.diff(n=2, dim=0).abs().mean()


def test_another_width_is_refused() -> None:
    with pytest.raises(UserError, match="201"):
        hymotion_to_rotation(torch.zeros(4, 200))
