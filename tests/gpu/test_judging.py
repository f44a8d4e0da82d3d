"""What judges motions, and what training minimises, never waits for the device: rewards, costs, evaluators, losses."""

from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from torch import Tensor

from motionrft.evaluation import numbers
from motionrft.evaluation.evaluators.guo import GuoEvaluator, GuoNetwork, GuoSize
from motionrft.evaluation.evaluators.towers import TowerEvaluator
from motionrft.evaluation.measure import Measured
from motionrft.finetuning.methods.dpo import TokenLoss
from motionrft.finetuning.token_losses import pair_scores, token_loss
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.physics import COSTS
from motionrft.pretraining.distillation import ConsistencyDistillation
from motionrft.pretraining.objective import Regression
from motionrft.registry import EVALUATORS, REWARDS
from motionrft.representations.kimodo.skeletons import G1, SOMA30
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import RewardCondition
from motionrft.reward.kimodo_terms import FEATURE_COSTS, FeatureReward, OfFeatures
from motionrft.reward.motioncritic import MotionCriticNetwork, MotionCriticReward
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.physics import PhysicsReward
from motionrft.reward.unified import Part, UnifiedReward
from tests.evaluation.toys import toy_evaluator
from tests.finetuning.small import small_reward, small_tmr
from tests.generators.families import TINY, tiny
from tests.generators.token_families import TINY_TOKENS, tiny_tokens
from tests.gpu.fake_device import FakeDevice
from tests.reward.published import MOTION_CRITIC

BATCH, FRAMES = 2, 24
KIMODO_WIDTH = {name: 12 * len(skeleton.names) + 9 for name, skeleton in (("soma", SOMA30), ("g1", G1))}


def four_terms():
    reward = small_reward()
    tower = reward.network.motion
    reward.critics.update({"preference": Critic(tower, 1, 2), "authenticity": Critic(tower, 2, 2)})
    reward.weigh(dict.fromkeys(reward.terms, 1.0))
    return reward


REWARD_PARTS = {
    "motionreward": (four_terms, 263),
    "tmr": (small_tmr, 263),
    "motioncritic": (lambda: MotionCriticReward(MotionCriticNetwork(MOTION_CRITIC), None, "rotation"), 135),
    "motioncritic of features": (lambda: MotionCriticReward(MotionCriticNetwork(MOTION_CRITIC), None, "kinematic"), 263),
    "physics": (lambda: PhysicsReward(dict.fromkeys(COSTS, 1.0)), 263),
    "physics of rotations": (lambda: PhysicsReward(dict.fromkeys(COSTS, 1.0), "rotation"), 135),
    "a sum": (lambda: UnifiedReward([Part(four_terms(), 8), Part(PhysicsReward({"jitter": 1.0}))]), 263),
    "kimodo's costs, robot": (lambda: FeatureReward(dict.fromkeys(FEATURE_COSTS, 1.0)), KIMODO_WIDTH["g1"]),
    "kimodo's consistency": (lambda: FeatureReward({"consistency": 1.0}), KIMODO_WIDTH["soma"]),
    "joints of kimodo": (lambda: OfFeatures(PhysicsReward({"jitter": 1.0}, "joints", 30.0)), KIMODO_WIDTH["soma"]),
}  # fmt: skip


def test_every_family_of_rewards_is_here() -> None:
    assert set(REWARDS.names()) <= set(REWARD_PARTS)
    assert set(EVALUATORS.names()) == set(EVALUATOR_PARTS)


@pytest.mark.parametrize("name", REWARD_PARTS)
def test_a_judgement_with_its_gradient_never_asks_the_device(name: str) -> None:
    make, width = REWARD_PARTS[name]
    reward = make()
    lengths, unit = (
        torch.tensor([FRAMES, 17]),
        torch.nn.functional.normalize(torch.randn(2, 2, reward.width or 8), dim=-1),
    )
    # What is made once and kept is made on the host, or shapes without numbers would be kept.
    reward(torch.randn(BATCH, FRAMES, width), lengths, RewardCondition(*unit), 0)
    with FakeDevice() as fake:
        reward.to(fake.device).settle()
        condition = RewardCondition(unit[0].to(fake.device), unit[1].to(fake.device))
        lengths = lengths.to(fake.device)
        motion = torch.randn(BATCH, FRAMES, width, device=fake.device, requires_grad=True)
        reward(motion, lengths, condition, 0)  # tables are moved once
        fake.clear()
        total, terms = reward(motion, lengths, condition, 0)
        total.sum().backward()
        assert total.shape == (BATCH,) and terms and motion.grad is not None
        assert not fake.waits and not fake.copies and not fake.doubles, (
            fake.waits,
            fake.copies,
            fake.doubles,
        )


def guo():
    size = GuoSize(words=6, movement_hidden=8, movement=7, motion_hidden=9, text_hidden=5, embedding=4)
    statistics = Statistics(torch.zeros(263), torch.ones(263))
    return GuoEvaluator(GuoNetwork(size), statistics, None, "toy").eval()


EVALUATOR_PARTS = {
    "mini": toy_evaluator,
    "guo": guo,
    "towers": lambda: TowerEvaluator(small_reward(), "toy", "towers"),
}


def a_cell(x, states, weights, *_):
    """A GRU's states in the place of torch's kernel, which no device of shapes has."""
    width = weights[1].shape[1]
    return (x @ weights[0].T)[..., :width], states


@pytest.mark.parametrize("name", EVALUATOR_PARTS)
def test_an_embedding_of_a_batch_never_asks_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._VF, "gru", a_cell)
    evaluator, lengths = EVALUATOR_PARTS[name](), torch.tensor([FRAMES, 17])
    with FakeDevice() as fake:
        evaluator.to(fake.device)
        motion, lengths = torch.randn(BATCH, FRAMES, 263, device=fake.device), lengths.to(fake.device)
        fake.clear()
        assert len(evaluator.embed_motion(motion, lengths)) == BATCH
        assert not fake.waits and not fake.copies and not fake.doubles


def given(generator, device):
    """Clean states, lengths and a condition, there."""
    lengths = torch.tensor([FRAMES, FRAMES if generator.sees_padding else 20])
    x0, condition = torch.randn(generator.noise_shape(lengths)), generator.encode_text(["walks", "waves"])
    return x0.to(device), lengths.to(device), condition.to(device)


@pytest.mark.parametrize("name", TINY)
def test_the_loss_of_every_family_never_asks_the_device(name: str) -> None:
    generator = tiny(name)
    here = given(generator, "cpu")  # a length on the fake device is 1, whatever it was
    with FakeDevice() as fake:
        generator.to(fake.device)
        there = tuple(part.to(fake.device) for part in here)
        objective, draws = Regression(generator, cap=1.0), torch.Generator().manual_seed(0)
        objective.loss(*there, draws)  # tables are moved once
        fake.clear()
        objective.loss(*there, draws).backward()
        assert not fake.waits and not fake.copies and not fake.doubles


def test_distillation_never_asks_the_device() -> None:
    student, teacher = tiny("motionlcm"), tiny("mld++", seed=1)
    settings = SimpleNamespace(times=10, guidance_from=6.0, guidance_to=16.0, ema=0.95, huber=0.5)
    with FakeDevice() as fake:
        student.to(fake.device), teacher.to(fake.device)
        objective = ConsistencyDistillation(student, teacher, settings)  # type: ignore[arg-type]
        x0, lengths, _ = given(student, fake.device)
        condition, draws = (
            teacher.encode_text(["walks", "waves"]).to(fake.device),
            torch.Generator().manual_seed(0),
        )
        objective.loss(x0, lengths, condition, draws)
        fake.clear()
        objective.loss(x0, lengths, condition, draws).backward()
        objective.stepped()
        assert not fake.waits and not fake.copies and not fake.doubles


@pytest.mark.parametrize("name", TINY_TOKENS)
def test_losses_of_motion_tokens_never_ask_the_device(name: str) -> None:
    generator = tiny_tokens(name)
    tokens = MotionTokens.of([torch.tensor([3, 1, 4]), torch.tensor([1, 5])])
    with FakeDevice() as fake:
        generator.to(fake.device)
        prompts, tokens = (
            generator.encode_text(["a person walks", "someone waves"]).to(fake.device),
            tokens.to(fake.device),
        )
        generator.log_prob(prompts, tokens)
        fake.clear()
        scores = generator.log_prob(prompts, tokens)
        # MotionGPT's template tells how long the motion is: asked once, for all rows.
        asked = fake.waits.total() if name == "motiongpt" else 0
        assert asked <= BATCH
        for loss in get_args(TokenLoss):
            token_loss(loss, pair_scores(scores, scores, scores, scores, True), 0.1).mean().backward()
        assert fake.waits.total() == asked and not fake.doubles


def test_captions_are_compared_on_the_device_of_the_motions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real motions that were embedded before are on the host, while captions are embedded on the device."""
    seen: set[str] = set()

    def noted(text: Tensor, motion: Tensor, *_: Tensor) -> Tensor:
        seen.update((text.device.type, motion.device.type))
        return torch.zeros(3, dtype=torch.float64)

    monkeypatch.setattr(numbers.metrics, "r_precision", noted)
    monkeypatch.setattr(numbers.metrics, "matching_distance", noted)
    monkeypatch.setattr(numbers, "_bodily", lambda drawn, made: {})
    with FakeDevice() as fake:
        real = Measured(torch.randn(40, 6), {})
        drawn = SimpleNamespace(keys=range(40), labels=None, real=None)
        numbers.generation_numbers(drawn, torch.randn(40, 6, device=fake.device), real, 0)
    assert seen == {"cpu"}
