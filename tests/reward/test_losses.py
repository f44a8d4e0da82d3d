"""Losses against closed forms."""

import math

import pytest
import torch

from motionrft.reward.motionreward.gaussian import Gaussian, divergence
from motionrft.reward.motionreward.losses import (
    Encoded,
    alignment_loss,
    alignment_pairs,
    contrastive,
    false_negatives,
    reconstruction,
    weighted_total,
    within_groups,
)


def test_divergence_is_the_mean_over_dimensions() -> None:
    q = Gaussian(torch.full((2, 3), 2.0), torch.zeros(2, 3))
    assert divergence(q, q).item() == 0
    assert divergence(q, q.prior()).item() == pytest.approx(2.0)
    wide = Gaussian(torch.zeros(2, 3), torch.full((2, 3), math.log(4.0)))
    assert divergence(wide, wide.prior()).item() == pytest.approx(0.5 * (4 - 1 - math.log(4)))


def test_samples_have_the_given_noise() -> None:
    q = Gaussian(torch.ones(1, 2), torch.full((1, 2), math.log(9.0)))
    torch.testing.assert_close(q.sample(torch.tensor([[1.0, -1.0]])), torch.tensor([[4.0, -2.0]]))


def test_contrastive_of_orthogonal_pairs() -> None:
    z = torch.eye(4)
    expected = -math.log(math.exp(10) / (math.exp(10) + 3))
    assert contrastive(z, 5 * z).item() == pytest.approx(expected, rel=1e-2)
    assert contrastive(torch.ones(4, 2), torch.ones(4, 2)).item() == pytest.approx(math.log(4))


def test_blocked_pairs_leave_both_softmaxes() -> None:
    z = torch.ones(3, 2)
    blocked = torch.tensor([[0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=torch.bool)
    assert contrastive(z, z, blocked=blocked).item() == pytest.approx(0.0, abs=1e-6)


def test_false_negatives_spare_the_diagonal() -> None:
    sentences = torch.tensor([[1.0, 0.0], [0.95, 0.2], [0.0, 1.0]])
    expected = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    assert torch.equal(false_negatives(sentences), expected)


def test_masked_reconstruction_ignores_padding() -> None:
    target = torch.zeros(2, 4, 3)
    predicted = target.clone()
    predicted[0, 2:] = 100.0
    assert reconstruction(predicted, target, torch.tensor([2, 4])).item() == 0
    assert reconstruction(predicted, target).item() > 0


def test_total_weights_terms_by_their_kind() -> None:
    one = torch.ones(())
    terms = {"rec_text": one, "kl_text_prior": one, "latent": one, "infonce": one}
    assert weighted_total(terms).item() == pytest.approx(1 + 1e-5 + 1e-5 + 0.1)


def test_alignment_pairs() -> None:
    three = ("kinematic", "joints", "rotation")
    assert len(alignment_pairs(three)) == 3
    assert ("joints", "rotation") not in alignment_pairs(three, "official")
    same = Encoded(Gaussian(torch.eye(3), torch.zeros(3, 3)), torch.eye(3))
    two = alignment_loss({"kinematic": same, "joints": same})
    assert alignment_loss(dict.fromkeys(three, same)).item() == pytest.approx(two.item())
    assert alignment_loss(dict.fromkeys(three, same), "official").item() == pytest.approx(2 * two.item())


def test_inside_a_group_only_its_own_members_are_negatives() -> None:
    text, motion = torch.randn(5, 8), torch.randn(5, 8)
    groups = torch.tensor([0, 0, -1, 1, 1])
    expected = (contrastive(text[:2], motion[:2]) + contrastive(text[3:], motion[3:])) / 2
    torch.testing.assert_close(within_groups(text, motion, groups), expected)
    alone = torch.full((5,), -1)
    assert within_groups(text, motion, alone) == 0


def test_frames_beyond_a_length_do_not_count_whatever_they_hold() -> None:
    target, lengths = torch.randn(2, 6, 4), torch.tensor([6, 3])
    made = torch.randn(2, 6, 4, requires_grad=True)
    with torch.no_grad():
        made[1, 3:] = float("nan")
    loss = reconstruction(made, target, lengths)
    expected = torch.cat((made[0] - target[0], (made[1] - target[1])[:3])).abs()
    smooth = torch.where(expected < 1, 0.5 * expected**2, expected - 0.5).mean()
    torch.testing.assert_close(loss, smooth)
