"""Physics as a reward: which way its weights point, and which names it knows."""

import pytest
import torch

from motionrft.errors import UserError
from motionrft.reward.physics import PhysicsReward
from tests.reward.conftest import person

FPS = 20.0


def test_positive_weight_means_better() -> None:
    reward = PhysicsReward({"floating": 2.0}, "joints", FPS)
    still = person(30, 0.0, 0.0)[None]
    lifted = still.clone()
    lifted[..., 1] += 0.2
    total, terms = reward(torch.cat((still, lifted)), torch.tensor([30, 30]), reward.prepare([]))
    assert total[0] > total[1]
    torch.testing.assert_close(total, -2.0 * terms["floating"])


def test_old_names_are_weighed_and_unknown_ones_refused() -> None:
    assert PhysicsReward({"bone_drift": 1.0}).weights == {"bone_length_drift": 1.0}
    with pytest.raises(UserError, match="no term 'gravity'"):
        PhysicsReward({"gravity": 1.0})
