"""Policy gradient through replayed steps: ratio one before any update, closed forms, and a reward without
gradient.
"""

from contextlib import nullcontext
from dataclasses import replace
from random import Random

import pytest
import torch
from torch.testing import assert_close

from motionrft.diffusion.plan import sampling_plan
from motionrft.diffusion.process import log_prob
from motionrft.diffusion.rollout import rollout
from motionrft.errors import UserError
from motionrft.finetuning import policy
from motionrft.finetuning.methods.ddpo import DdpoPreset
from motionrft.finetuning.objective import TuningContext
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet
from motionrft.training.memory import GraphBytes
from tests.finetuning.small import small_preset, small_trainer
from tests.generators.families import tiny


def trainer_of(method="ddpo", **settings):
    settings = {"updates": 1, **settings}
    return small_trainer(small_preset(method={"method": method, **settings}, eta=1.0, steps=5))


@pytest.mark.parametrize("method", ["ddpo", "grpo"])
def test_the_ratio_is_exactly_one_before_any_update(method):
    line = trainer_of(method, kl=0.0).update(0)[0]
    assert line["ratio"] == pytest.approx(1.0, abs=1e-6) and line["kl"] == 0.0 and line["clipped"] == 0.0


def test_the_log_probability_of_every_stored_step_is_reproduced():
    trainer = trainer_of("ddpo")
    micro_batch = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]
    episode = policy._sampled(trainer.context, micro_batch, sampling_plan(5), 1)
    assert [stored.position for stored in episode.steps] == [0, 1, 2, 3], (
        "the last step is nearly deterministic and left out"
    )
    for stored in episode.steps:
        with torch.no_grad():
            again, _ = policy.step_log_prob(trainer.context, episode.start, stored)
        assert torch.equal(again, stored.log_prob)


@pytest.mark.parametrize("family", ["acmdm", "hymotion"])
def test_flows_are_replayed_by_noisy_euler_steps(family):
    generator = tiny(family)
    process = generator.process(5, eta=0.7)
    prompts = PromptSet(["walks", "sits down"], torch.tensor([40, 24]))
    start = (
        PreparedPrompts(generator, None, prompts, 0, torch.device("cpu"))
        .micro_batches(torch.arange(2), 0, None)[0]
        .start
    )
    context = TuningContext(
        generator, process, None, 1.0, DdpoPreset(), nullcontext, nullcontext, GraphBytes([generator])
    )
    for visit in rollout(generator, process, start, sampling_plan(5), 1.0):
        mask = generator.state_mask(visit.x, start.lengths)
        drawn = log_prob(visit.step, visit.step.sample, mask)
        stored = policy.Stored(visit.position, visit.x, visit.step.sample, visit.memory, drawn)
        with torch.no_grad():
            again, _ = policy.step_log_prob(context, start, stored)
        assert torch.equal(again, drawn) and again.isfinite().all()


def test_later_updates_of_a_batch_move_the_ratio():
    lines = trainer_of("ddpo", updates=2, epochs=2, clip=0.2).update(0)
    assert len(lines) == 4 and lines[-1]["kl"] > 0


def test_samples_of_one_prompt_differ_in_noise_alone():
    trainer = trainer_of("grpo", group=2)
    start = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0].start
    several = policy.grouped(start, 2)
    assert several.lengths.tolist() == start.lengths.repeat_interleave(2).tolist()
    assert torch.equal(several.condition.text.tokens[0], several.condition.text.tokens[1])
    assert not torch.equal(several.noise[0], several.noise[1]) and torch.equal(
        several.noise[0], start.noise[0]
    )
    drawn = several.draw(0)
    assert not torch.equal(drawn[0], drawn[1])


def test_advantages_are_deviations_from_batch_or_group():
    rewards = torch.tensor([1.0, 3.0, 5.0, 5.0])
    assert_close(
        policy.advantages(rewards, 2, "group"), torch.tensor([-1.0, 1.0, 0.0, 0.0]), rtol=1e-3, atol=1e-4
    )
    whole = policy.advantages(rewards, 1, "batch")
    assert_close(whole.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert_close(whole.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)


def test_the_clipped_loss_is_flat_where_the_ratio_has_gone_too_far():
    ratio = torch.tensor([1.5, 0.5, 1.5, 0.5], requires_grad=True)
    policy.clipped_loss(ratio, torch.tensor([1.0, -1.0, -1.0, 1.0]), 0.2).backward()
    assert_close(ratio.grad, torch.tensor([0.0, 0.0, 0.25, -0.25]))


def test_a_reward_without_gradient_is_learnt_by_trying():
    """Pays for low frames; only policy gradients can use it."""
    preset = small_preset(
        method={"method": "ddpo", "group": 8, "normalise": "group", "updates": 1, "clip": 0.2},
        eta=1.0, steps=5, batch=6, updates=16, optimiser={"lr": 3e-3}, weights={"semantic": 1.0},
    )  # fmt: skip
    trainer = small_trainer(preset)

    def judge(motion, lengths, condition, t=0):
        paid = -motion[..., 3].detach().sum(1) / lengths
        return paid, {"low": paid}

    trainer.context = replace(trainer.context, judge=judge)
    rewards = [trainer.update(step)[0]["reward"] for step in range(16)]
    assert sum(rewards[-4:]) > sum(rewards[:4])


def test_a_deterministic_sampler_is_refused(tmp_path, monkeypatch):
    from motionrft.finetuning.run import FinetuneRun, FinetuneSession
    from motionrft.generators.registry import save_generator
    from motionrft.registry import TEXT_ENCODERS
    from motionrft.reward.folder import save_reward
    from tests.finetuning.small import TEXTS, HashedText, small_generator, small_reward

    monkeypatch.setitem(TEXT_ENCODERS.added, "hashed", (lambda path, device: HashedText(), "a test"))
    save_generator(small_generator(), tmp_path / "g")
    save_reward(tmp_path / "r", small_reward())
    (tmp_path / "p.txt").write_text("\n".join(TEXTS))
    preset = FinetunePreset.of(
        {
            "generator": str(tmp_path / "g"),
            "reward": str(tmp_path / "r"),
            "prompts": str(tmp_path / "p.txt"),
            "method": {"method": "ddpo"},
            "watch": {"every": 0},
            "evaluation": {"prompts": 0},
        }
    )
    with pytest.raises(UserError, match="ddpo learns from stochastic steps"):
        FinetuneRun(preset, FinetuneSession(tmp_path / "run", torch.device("cpu")))


def test_plain_random_is_all_a_shuffle_needs():
    parts = policy._shuffled(7, 3, Random(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(7)) and len(parts) == 3
