"""The autoencoder's loss: zero on a perfect copy, and blind to padding."""

import torch

from motionrft.lengths import length_mask
from motionrft.pretraining.losses import autoencoder_loss, heading_aligned_error_mm
from motionrft.representations.statistics import Statistics

STATISTICS = Statistics(torch.zeros(263), torch.ones(263))


def _loss(made, real, lengths):
    mean, log_variance = torch.zeros(2, 5, 4), torch.zeros(2, 5, 4)
    mask = length_mask((lengths + 3) // 4, 5)
    return autoencoder_loss(made, real, lengths, (mean, log_variance), mask, STATISTICS)


def test_a_perfect_copy_from_a_standard_posterior_costs_nothing():
    motion = torch.randn(2, 20, 263) * 0.1
    assert _loss(motion, motion, torch.tensor([20, 13])).total.item() == 0


def test_padding_does_not_count():
    real, lengths = torch.randn(2, 20, 263) * 0.1, torch.tensor([20, 13])
    made = real + 0.05
    other = made.clone()
    other[1, 13:] = 7.0
    torch.testing.assert_close(_loss(made, real, lengths).features, _loss(other, real, lengths).features)
    torch.testing.assert_close(_loss(made, real, lengths).joints, _loss(other, real, lengths).joints)


def test_heading_aligned_error_is_the_mean_joint_distance_in_millimetres():
    real = torch.zeros(1, 10, 263)
    made = real.clone()
    made[0, :5, 4:7] = torch.tensor([0.03, 0.04, 0.0])  # one joint of 22 by 5 cm, in half of the frames
    error = heading_aligned_error_mm(made, real, torch.tensor([10]))
    torch.testing.assert_close(error, torch.tensor([50 / 22 / 2]))


def test_path_and_heading_do_not_count():
    real, made = torch.zeros(1, 10, 263), torch.zeros(1, 10, 263)
    made[..., :3] = 0.5
    assert heading_aligned_error_mm(made, real, torch.tensor([10])).item() == 0
