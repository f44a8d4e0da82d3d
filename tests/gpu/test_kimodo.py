"""Kimodo on a device: tuning with its own costs and a reward of another rate never asks it anything."""

from random import Random

import pytest
import torch

from motionrft.finetuning.methods.base import plan_of
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import Reward
from motionrft.reward.kimodo_terms import with_feature_costs
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.reward.resampled import Resampled
from tests.finetuning.small import HashedText, small_preset, small_trainer
from tests.generators.families import tiny
from tests.gpu.fake_device import FakeDevice
from tests.gpu.placing import STEPS, placed


def judge() -> Reward:
    """A reward of joints at 20 frames a second, read window by window as the built-in one, beside `consistency`."""
    size = RewardSize(
        latent=8, width=16, layers=1, heads=2, feedforward=32, text_layers=1, text_heads=2, text_feedforward=32,
        projection_hidden=16, text_width=12, representations=("joints",), widths=(66,), stack=4, local_joints=True,
    )  # fmt: skip
    statistics = {"joints": Statistics(torch.zeros(66), torch.ones(66))}
    weights = {"semantic": 1.0, "similarity": 1.0}
    learnt = MotionReward(MotionRewardNetwork(size), statistics, HashedText(), weights, "joints")
    return with_feature_costs(Resampled(learnt, 30, 20), {"consistency": 0.1})


def test_tuning_by_kinematics_at_another_rate_never_asks_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny("kimodo")
    generator.decode_features()
    monkeypatch.setattr("tests.finetuning.small.small_generator", lambda: generator)
    trainer = small_trainer(small_preset(steps=STEPS, method={"method": "easytune", "k": 2}), judge())
    batch = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]
    plan = plan_of(trainer.preset.method, STEPS, 1.0, Random(0))
    with FakeDevice() as fake:
        batch = placed(trainer, batch, fake.device)
        for _ in range(2):  # tables are copied once
            fake.clear()
            trainer.optimiser.updates = 1
            for point in trainer.objective(trainer.context, [batch], plan, Random(0)):
                trainer._step(point)
        assert fake.kernels and not fake.waits and not fake.copies and not fake.doubles
