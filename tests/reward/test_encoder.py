"""The network: padding, batching, stacking and limits."""

from dataclasses import replace

import pytest
import torch

from motionrft.errors import UserError
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.sizes import PUBLISHED_SIZES, RewardSize

LENGTHS = torch.tensor([21, 10, 1])


def network_of(size: RewardSize, **changes: object) -> MotionRewardNetwork:
    torch.manual_seed(1)
    return MotionRewardNetwork(replace(size, **changes)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("stack", [1, 4])
@pytest.mark.parametrize("representation", ["kinematic", "joints", "rotation"])
def test_padding_does_not_matter(size: RewardSize, stack: int, representation: str) -> None:
    network = network_of(size, stack=stack)
    motion = torch.randn(3, 21, size.feature_width(representation))
    garbage = motion.clone()
    garbage[1, 10:], garbage[2, 1:] = 50.0, -50.0
    expected = network.motion(motion, LENGTHS, representation)
    torch.testing.assert_close(network.motion(garbage, LENGTHS, representation).mean, expected.mean)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = network.motion(motion[row : row + 1, :length], LENGTHS[row : row + 1], representation)
        torch.testing.assert_close(alone.mean[0], expected.mean[row], atol=2e-6, rtol=1e-5)


def test_joints_come_flat_or_with_an_axis(size: RewardSize) -> None:
    network, joints = network_of(size), torch.randn(3, 21, 22, 3)
    expected = network.motion(joints, LENGTHS, "joints").mean
    torch.testing.assert_close(network.motion(joints.flatten(2), LENGTHS, "joints").mean, expected)


@pytest.mark.parametrize("stack", [1, 4])
def test_decoder_keeps_frames_and_zeroes_padding(size: RewardSize, stack: int) -> None:
    network = network_of(size, stack=stack)
    decoded = network.decoder(torch.randn(3, size.latent), LENGTHS, "joints", 21)
    assert decoded.shape == (3, 21, 22, 3)
    assert decoded[1, 10:].abs().sum() == 0 and decoded[2, 1:].abs().sum() == 0
    assert decoded[1, :10].abs().sum() > 0


def test_time_token_zero_is_not_no_time_token(size: RewardSize) -> None:
    network, motion = network_of(size), torch.randn(3, 21, 263)
    timed, still = (network.motion(motion, LENGTHS, "kinematic", t).mean for t in (0, None))
    assert (timed - still).abs().max() > 1e-4


@pytest.mark.parametrize("mode", ["M0T0", "M1T0", "M0T1", "M1T1"])
def test_mode_says_which_tower_hears_the_time(size: RewardSize, mode: str) -> None:
    network = network_of(size, mode=mode)
    motion, tokens, mask = torch.randn(3, 21, 263), torch.randn(3, 5, 24), torch.ones(3, 5, dtype=torch.bool)
    moves = [network.encode_motion(motion, LENGTHS, "kinematic", t).mean for t in (3, 400)]
    reads = [network.encode_text(tokens, mask, t).mean for t in (3, 400)]
    assert torch.equal(moves[0], moves[1]) == (mode[1] == "0")
    assert torch.equal(reads[0], reads[1]) == (mode[3] == "0")


def test_too_long_and_too_wide_motions_are_refused(size: RewardSize) -> None:
    network = network_of(size)
    with pytest.raises(UserError, match="100 frames; this reward reads at most 59"):
        network.motion(torch.randn(1, 100, 263), torch.tensor([100]), "kinematic")
    with pytest.raises(UserError, match="263 wide, not 260"):
        network.motion(torch.randn(1, 20, 260), torch.tensor([20]), "kinematic")
    with pytest.raises(UserError, match="judges kinematic, joints, rotation, not hymotion"):
        network.motion(torch.randn(1, 20, 201), torch.tensor([20]), "hymotion")


def test_log_variance_starts_where_told(size: RewardSize) -> None:
    network = network_of(size, log_variance_init=-5.0)
    gaussian = network.motion(torch.randn(3, 21, 263), LENGTHS, "kinematic")
    assert -7 < gaussian.log_variance.mean() < -3


def test_tiny_has_the_published_parameter_count() -> None:
    parts = MotionRewardNetwork(PUBLISHED_SIZES["tiny"])
    count = sum(parameter.numel() for parameter in parts.parameters())
    assert count == pytest.approx(4.31e6, rel=1e-3)
    assert sum(p.numel() for p in parts.decoder.parameters()) == pytest.approx(0.95e6, rel=2e-3)
    assert len(parts.state_dict()) == 175
