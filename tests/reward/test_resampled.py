"""A reward at its own frame rate: as every file is judged, differentiable, and only where it can be done."""

import torch

from motionrft.lengths import length_mask, masked_mean
from motionrft.representations.convert import convert
from motionrft.representations.joints import resample_smooth
from motionrft.representations.resample import resample
from motionrft.reward.base import Reward, RewardCondition
from motionrft.reward.resampled import Resampled, at_own_rate, resample_batch, times_for
from tests.representations.people import rotations

LENGTHS = torch.tensor([61, 37])


class Paces(Reward):
    """How far every number moves from frame to frame, in the mean; remembers the lengths it was shown."""

    def __init__(self, representation: str) -> None:
        super().__init__()
        self.representation, self.about, self.weights = representation, {"fps": 20.0}, {"pace": 1.0}
        self.seen: list[int] = []

    def prepare(self, texts, references=None, lengths=None) -> RewardCondition:
        self.seen = lengths.tolist()
        return RewardCondition()

    def forward(self, motion, lengths, condition, t=0):
        self.seen = lengths.tolist()
        moved = motion.diff(dim=1).abs().mean(-1)
        pace = masked_mean(moved, length_mask(lengths - 1, moved.shape[1]))
        return pace, {"pace": pace}


def motion(representation: str) -> torch.Tensor:
    """(2, 61, D) at 30 frames a second, the second one shorter and padded."""
    clips = torch.cat([rotations(61, seed=seed).float() for seed in (1, 2)])
    found = convert(clips, "rotation", representation, LENGTHS).flatten(2)
    return found


def test_each_item_is_resampled_as_a_file_would_be() -> None:
    joints = motion("joints")
    found = resample_batch(joints, LENGTHS, times_for(joints, 30, 20))
    for item, frames in enumerate(LENGTHS.tolist()):
        alone = resample_smooth(joints[item, :frames], 30, 20)
        torch.testing.assert_close(found[item, : len(alone)], alone)


def test_a_reward_judges_motions_at_the_rate_it_learnt() -> None:
    for representation in ("joints", "rotation"):
        reward, own = at_own_rate(Paces(representation), 30.0), Paces(representation)
        made = motion(representation).requires_grad_()
        found, terms = reward(made, LENGTHS, RewardCondition())
        for item, frames in enumerate(LENGTHS.tolist()):
            alone = resample(made[item, :frames].detach(), representation, 30, 20)[None]
            expected, _ = own(alone, torch.tensor([alone.shape[1]]), RewardCondition())
            torch.testing.assert_close(found[item : item + 1].detach(), expected, rtol=2e-3, atol=1e-4)
        assert list(terms) == ["pace"] and own.seen == [25]
        found.sum().backward()
        assert made.grad is not None and torch.isfinite(made.grad).all() and (made.grad[0] != 0).any()
        assert (made.grad[1, 37:] == 0).all()


def test_references_are_resampled_too() -> None:
    paces = Paces("joints")
    at_own_rate(paces, 30.0).prepare(["a"], motion("joints"), LENGTHS)
    assert paces.seen == [41, 25]


def test_noisy_states_and_features_with_velocities_are_judged_as_they_come() -> None:
    assert not isinstance(at_own_rate(Paces("kinematic"), 30.0), Resampled)
    assert not isinstance(at_own_rate(Paces("joints"), 20.0), Resampled)
    paces = Paces("joints")
    at_own_rate(paces, 30.0)(motion("joints"), LENGTHS, RewardCondition(), torch.tensor(7))
    assert paces.seen == LENGTHS.tolist()


def test_weights_are_those_of_the_reward_itself() -> None:
    paces = Paces("joints")
    reward = at_own_rate(paces, 30.0)
    reward.weights = {"pace": 3.0}  # type: ignore[assignment]
    assert reward.term_weights == paces.weights == {"pace": 3.0} and reward.about["fps"] == 20
