"""Laws of advantages, and the clipped loss by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from motionrft.finetuning.advantages import ADVANTAGES, RewardHistory
from motionrft.finetuning.policy_losses import clipped_loss, mean_distance

rewards = st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3)


@given(st.lists(rewards, min_size=2, max_size=5), st.sampled_from(["flow", "group", "dance"]))
def test_advantages_of_a_group_sum_to_zero_and_keep_its_order(groups, kind):
    found = ADVANTAGES[kind](torch.tensor(groups).double().flatten(), 3).view(-1, 3)
    assert_close(found.sum(1), torch.zeros(len(groups), dtype=torch.float64), atol=1e-6, rtol=0)
    for row, group in zip(found, groups, strict=True):
        assert row[int(torch.tensor(group).argmax())] == row.max()


@pytest.mark.parametrize("kind", ["flow", "group", "dance"])
def test_an_equally_rewarded_group_gets_exactly_zero(kind):
    found = ADVANTAGES[kind](torch.tensor([0.1, 0.1, 0.1, 1.0, 2.0, 4.0]), 3)
    assert torch.equal(found[:3], torch.zeros(3)) and found[3] < 0 < found[5]


def test_flow_divides_by_the_batch_and_group_by_itself():
    two = torch.tensor([0.0, 2.0, 10.0, 30.0])
    assert_close(ADVANTAGES["group"](two, 2), torch.tensor([-1.0, 1.0, -1.0, 1.0]), atol=1e-3, rtol=0)
    assert_close(ADVANTAGES["flow"](two, 2), torch.tensor([-1.0, 1.0, -10.0, 10.0]) / two.std(correction=0),
                 atol=1e-3, rtol=0)  # fmt: skip


def test_a_prompt_is_compared_with_its_own_past_once_it_has_one():
    history = RewardHistory(size=3, least=2)
    first = history.advantages(torch.tensor([1.0, 5.0]), torch.tensor([7, 8]))
    assert_close(first, torch.tensor([-1.0, 1.0]))  # of the batch: one reward each is no history
    second = history.advantages(torch.tensor([3.0, 5.0]), torch.tensor([7, 8]))
    assert_close(second, torch.tensor([1.0, 0.0]))  # of 1 and 3; of 5 and 5
    history.advantages(torch.tensor([9.0, 9.0]), torch.tensor([7, 7]))
    assert history.rewards[7] == [3.0, 9.0, 9.0], "only the newest are kept"


def test_the_clipped_loss_is_flat_where_the_ratio_has_gone_too_far():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5])
    now = ratio.log().requires_grad_()
    found = clipped_loss(now, torch.zeros(4), torch.tensor([1.0, -1.0, -1.0, 1.0]), 0.2, 5.0)
    found.loss.mean().backward()
    assert_close(now.grad / ratio, torch.tensor([0.0, 0.0, 0.25, -0.25]))
    assert found.clipped_share == 1.0


def test_samples_that_teach_nothing_are_in_no_mean_of_the_log():
    now, counted = torch.tensor([0.2, 9.0, 0.4]), torch.tensor([1.0, 0.0, 1.0])
    found = clipped_loss(now, torch.zeros(3), counted, 0.3, 5.0, counted)
    assert_close(found.mean_ratio, now[[0, 2]].exp().mean())
    assert_close(found.approximate_kl, 0.5 * now[[0, 2]].square().mean())
    assert found.clipped_share == 0.5
    nothing = clipped_loss(now, torch.zeros(3), torch.zeros(3), 0.3, 5.0, torch.zeros(3))
    assert nothing.mean_ratio == nothing.approximate_kl == 0


def test_distances_of_means_count_valid_numbers_alone():
    mean, reference = torch.zeros(2, 3, 2), torch.ones(2, 3, 2)
    reference[1, 1:] = 1e6  # padding
    mask = torch.tensor([[True, True, True], [True, False, False]])[..., None]
    assert_close(mean_distance(mean, reference, 0.5, mask), torch.tensor([2.0, 2.0]))
