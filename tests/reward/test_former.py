"""Rewards of the first release, whose critics were called judges in folders and checkpoints."""

from pathlib import Path

import torch

from motionrft.reward.folder import load_motionreward, save_reward
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.critic_training import CriticTrainer
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.preset import PreferencePart
from motionrft.training.weights import load_weights, save_weights


def with_critic(reward: MotionReward) -> Critic:
    torch.manual_seed(3)
    critic = Critic(reward.network.motion, 1, rank=4, alpha=8)
    reward.critics["preference"] = critic
    reward.weigh({"semantic": 1.0, "preference": 0.5})
    return critic


def test_a_folder_with_judges_is_read(reward: MotionReward, tmp_path: Path) -> None:
    with_critic(reward)
    save_reward(tmp_path / "now", reward)
    tensors, config = load_weights(tmp_path / "now")
    assert any(name.startswith("critics.") for name in tensors)
    config["judges"] = config.pop("critics")
    then = {name.replace("critics.", "judges.", 1): value for name, value in tensors.items()}
    save_weights(tmp_path / "then", then, config)
    again = load_motionreward(tmp_path / "then")
    assert again.weights == reward.weights
    for name, value in reward.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_a_checkpoint_of_a_judge_is_continued(reward: MotionReward) -> None:
    critic = with_critic(reward)
    trainer = CriticTrainer(reward, critic, PreferencePart(), seed=0)
    state = trainer.state_dict()
    state["judge"] = {name: torch.ones_like(value) for name, value in state.pop("critic").items()}
    trainer.load_state_dict(state)
    assert all((value == 1).all() for value in critic.state_dict().values())
