"""Adapters: nothing at the start, exactly the published form when merged, trained through the merge."""

import torch
import torch.nn.functional as F

from motionrft.reward.motionreward.adapters import Critic, ranking_loss
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.sizes import RewardSize

LENGTHS = torch.tensor([9, 4])


def parts(size: RewardSize) -> tuple[MotionRewardNetwork, Critic, torch.Tensor]:
    torch.manual_seed(2)
    network = MotionRewardNetwork(size).eval().requires_grad_(False)
    return network, Critic(network.motion, 1, rank=4, alpha=8).eval(), torch.randn(2, 9, 263)


def test_a_new_adapter_changes_nothing(size: RewardSize) -> None:
    network, critic, motion = parts(size)
    adapted = critic.embed(network.motion, motion, LENGTHS, "kinematic").mean
    torch.testing.assert_close(adapted, network.motion(motion, LENGTHS, "kinematic").mean)


def test_merged_attention_is_adapted_inputs_and_output(size: RewardSize) -> None:
    network, critic, _ = parts(size)
    for update in critic.adapter.updates.values():
        torch.nn.init.normal_(update.lora_B, std=0.3)
    attention, name = network.motion.encoder.middle_block.self_attn, "encoder.middle_block.self_attn"
    x = torch.randn(2, 5, size.width)
    inputs = [x + x @ critic.adapter.update(f"{name}.{part}").T for part in "qkv"]
    projected = [
        F.linear(value, weight, bias)
        for value, weight, bias in zip(
            inputs, attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True
        )
    ]
    q, k, v = (y.unflatten(-1, (size.heads, -1)).transpose(1, 2) for y in projected)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    out = attention.out_proj(mixed)
    expected = out + out @ critic.adapter.update(f"{name}.o").T
    merged = {
        key.removeprefix(f"{name}."): value for key, value in critic.adapter.merged(network.motion).items()
    }
    weights = {key: merged[key] for key in ("in_proj_weight", "out_proj.weight", "out_proj.bias")}
    torch.testing.assert_close(
        torch.func.functional_call(attention, weights, (x,)), expected, atol=1e-5, rtol=1e-4
    )


def test_training_moves_the_adapter_and_not_the_tower(size: RewardSize) -> None:
    network, critic, motion = parts(size)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-2)
    critic.train()
    losses = []
    for _ in range(8):
        scores = critic(network.motion, motion, LENGTHS, "kinematic")[:, 0]
        loss = ranking_loss(scores[:1], scores[1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert any(update.lora_B.abs().sum() > 0 for update in critic.adapter.updates.values())


def test_kept_weights_follow_new_training(size: RewardSize) -> None:
    network, critic, motion = parts(size)
    critic.requires_grad_(False)
    with torch.no_grad():
        first = critic(network.motion, motion, LENGTHS, "kinematic")
        for update in critic.adapter.updates.values():
            torch.nn.init.normal_(update.lora_B)
        critic.train().eval()
        assert not torch.allclose(critic(network.motion, motion, LENGTHS, "kinematic"), first)


def test_ranking_loss_of_a_tie_is_log_two() -> None:
    assert torch.isclose(ranking_loss(torch.zeros(3), torch.zeros(3)), torch.tensor(2.0).log())
