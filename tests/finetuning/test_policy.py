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
from motionrft.finetuning import policy
from motionrft.finetuning.methods.ddpo import DdpoPreset
from motionrft.finetuning.methods.grpo import GrpoPreset
from motionrft.finetuning.objective import TuningContext
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.prompts import PromptSet
from motionrft.training.memory import GraphBytes
from motionrft.training.state import join_tree, split_tree
from tests.finetuning.small import small_generator, small_preset, small_trainer
from tests.generators.families import tiny


def trainer_of(method="ddpo", **settings):
    return small_trainer(small_preset(method={"method": method, **settings}, eta=1.0, steps=5))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"updates": 2},
        {"method": "grpo"},
        {"method": "grpo", "variant": "dance", "group": 2},
        {"advantages": "history", "group": 1},
        {"weight": "equal", "cut": None},
    ],
    ids=str,
)
def test_the_ratio_is_exactly_one_and_kl_zero_before_any_update(settings):
    """Also in the second of two updates' samples: no rate, so nothing has moved."""
    trainer = trainer_of(**settings)
    trainer.optimiser.settings = trainer.preset.optimiser.model_copy(update={"lr": 0.0})
    for line in trainer.update(0):
        assert line["kl"] == 0.0 and line["clipped"] == 0.0 and line.get("drift", 0.0) == 0.0
        assert line["ratio"] == pytest.approx(1.0, abs=1e-6)  # a weighted sum of ones


def test_the_log_probability_of_every_stored_step_is_reproduced():
    trainer = trainer_of("ddpo", group=1, advantages="batch")
    micro_batch = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]
    episode = policy._sampled(trainer.context, micro_batch, sampling_plan(5), set(range(5)))
    assert [stored.position for stored in episode.steps] == [0, 1, 2, 3, 4]
    for stored in episode.steps:
        with torch.no_grad():
            again, _ = policy.step_log_prob(trainer.context, episode.start, stored)
        assert torch.equal(again, stored.log_prob)


def steepness(process, position):
    return float(process.gains[position].abs() / process.std[position])


@pytest.mark.parametrize("steps", [10, 25, 50])
def test_no_kept_position_is_far_steeper_than_the_others(steps):
    """The gradient's energy at a step goes with the square of b / s: the steepest would drown the rest."""
    process = small_generator().process(steps, eta=1.0)
    weights = policy.position_weights(process, DdpoPreset())
    energy = torch.tensor([(weight * steepness(process, i)) ** 2 for i, weight in weights.items()])
    assert energy.max() / energy.sum() < 0.35 and len(weights) >= 0.7 * steps
    everything = policy.position_weights(process, DdpoPreset(cut=None, weight="equal"))
    drowned = torch.tensor([steepness(process, i) ** 2 for i in everything])
    assert drowned.max() / drowned.sum() > 0.45 and set(everything.values()) == {1.0}


def test_weights_of_positions_have_mean_one():
    process = small_generator().process(10, eta=1.0)
    for weight in ("deviation", "gain", "equal"):
        found = policy.position_weights(process, DdpoPreset(weight=weight)).values()
        assert sum(found) / len(found) == pytest.approx(1.0)


def test_an_equally_rewarded_group_neither_teaches_nor_pulls():
    """With a group's rewards equal, the update is that of the other group alone."""

    def tuned(items, judged):
        trainer = trainer_of("grpo", group=2, kl=0.04, advantages="group")
        trainer.context = replace(trainer.context, reward=judged)
        with torch.no_grad():  # away from the reference, so that the pull is not zero
            for parameter in trainer.parameters.values():
                parameter.add_(0.01)
        grads = {}
        step = trainer.optimiser.step
        trainer.optimiser.step = lambda: (
            grads.update({name: p.grad.clone() for name, p in trainer.parameters.items()}) or step()
        )
        (line,) = trainer.walk(torch.tensor(items), 0, 0)
        return grads, line

    def judge(motion, lengths, condition, t=0):
        paid = torch.tensor([0.2, 0.7, 0.5, 0.5])[: len(lengths)]
        return paid, {"semantic": paid}

    both, line = tuned([0, 1], judge)
    alone, _ = tuned([0], judge)
    assert line["taught"] == 0.5
    for name, gradient in both.items():
        assert_close(gradient, alone[name], rtol=1e-4, atol=1e-6)


def test_a_batch_without_any_difference_moves_nothing():
    trainer = trainer_of("grpo", group=2)
    trainer.context = replace(
        trainer.context, reward=lambda m, lengths, c, t=0: (torch.ones(len(lengths)), {})
    )
    before = [p.detach().clone() for p in trainer.parameters.values()]
    (line,) = trainer.update(0)
    assert line["taught"] == 0.0 and line["grad_norm"] == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.parameters.values(), strict=True))


def test_the_history_of_rewards_is_part_of_the_runs_state():
    trainer = trainer_of("ddpo", group=1, advantages="history", least=1)
    trainer.update(0)
    again = trainer_of("ddpo", group=1, advantages="history", least=1)
    again.load_state_dict(join_tree(*split_tree(trainer.state_dict())))
    assert again.context.memory == trainer.context.memory != {}
    first, second = (policy.HISTORY in t.context.memory for t in (trainer, again))
    assert first and second and trainer.update(1)[0]["loss"] == again.update(1)[0]["loss"]


def test_a_batch_that_is_walked_again_for_want_of_memory_is_remembered_once(monkeypatch):
    """Memory ends in the first backward, after the rewards were taken into the history."""
    small, whole = (trainer_of("ddpo", group=1, advantages="history", least=9) for _ in range(2))
    whole.micro_batch = (small.micro_batch + 1) // 2
    whole.update(0)
    replay, calls = policy._step_loss, []

    def short_of_memory(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise MemoryError
        return replay(*arguments)

    monkeypatch.setattr(policy, "_step_loss", short_of_memory)
    small.update(0)
    assert small.micro_batch == whole.micro_batch and small.context.memory == whole.context.memory != {}


def test_samples_of_a_prompt_can_share_their_first_noise_and_then_part():
    trainer = trainer_of("grpo", group=2)
    start = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0].start
    several = policy.grouped(start, 2, shared_noise=True)
    assert torch.equal(several.noise, start.noise.repeat_interleave(2, 0))
    drawn = several.draw(0)
    assert not torch.equal(drawn[0], drawn[1])


def test_a_share_of_the_positions_is_replayed():
    trainer = trainer_of("ddpo", share=0.5)
    calls = []
    predict = trainer.context.generator.predict
    trainer.context.generator.predict = lambda *a: calls.append(torch.is_grad_enabled()) or predict(*a)
    trainer.update(0)
    kept = len(policy.position_weights(trainer.context.process, trainer.context.method))
    assert sum(calls) == round(0.5 * kept)


def test_variants_of_grpo_are_defaults_and_give_way_to_what_is_set():
    dance = GrpoPreset(variant="dance")
    assert (dance.advantages, dance.kl, dance.shared_noise, dance.share) == ("dance", 0.0, True, 0.6)
    flow = GrpoPreset()
    assert (flow.advantages, flow.kl, flow.kl_form, flow.shared_noise) == ("flow", 0.04, "published", False)
    assert GrpoPreset(variant="dance", share=1.0).share == 1.0


def test_the_published_pull_is_the_published_forms():
    """The divergence of two Gaussians under the same weight would pull ten times as hard."""
    assert GrpoPreset(kl_form="gaussian").kl == pytest.approx(0.004)
    assert GrpoPreset(kl_form="gaussian", kl=0.04).kl == 0.04
    assert GrpoPreset(kl_form="gaussian", variant="dance").kl == 0.0


def test_the_published_pull_is_smaller_than_the_divergence_by_the_steps_share_of_time():
    trainer = trainer_of("ddpo", kl=1.0)
    with torch.no_grad():
        for parameter in trainer.parameters.values():
            parameter.add_(0.01)
    micro_batch = trainer.prepared.micro_batches(torch.tensor([0, 1]), 0, None)[0]
    episode = policy._sampled(trainer.context, micro_batch, sampling_plan(5), {1})
    found = {}
    for form in ("published", "gaussian"):
        context = replace(trainer.context, method=DdpoPreset(kl=1.0, kl_form=form))
        with torch.no_grad():
            _, step = policy.step_log_prob(context, episode.start, episode.steps[0])
            found[form] = policy._distance(context, episode.start, episode.steps[0], step)
    assert_close(found["published"], found["gaussian"] * trainer.context.process.spans[1])


def test_a_lone_sample_has_no_group_to_be_compared_with():
    with pytest.raises(ValueError, match="group is 1: raise group, or set advantages to history or batch"):
        DdpoPreset(group=1)


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


def test_bytes_held_for_backward_do_not_grow_with_the_steps():
    """One replayed position's graph is alive at a time, however many there are."""
    held = []
    for steps in (5, 12):
        preset = small_preset(method={"method": "ddpo", "group": 2}, eta=1.0, steps=steps)
        held.append(small_trainer(preset).update(0)[0]["graph_bytes"])
    assert held[0] == pytest.approx(held[1], rel=0.001) and held[0] > 0


def test_later_updates_of_a_batch_move_the_ratio():
    lines = trainer_of("ddpo", updates=2, epochs=2, clip=0.2, group=2).update(0)
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


def test_a_reward_without_gradient_is_learnt_by_trying():
    """Pays for low frames; only policy gradients can use it."""
    preset = small_preset(
        method={"method": "ddpo", "group": 8, "clip": 0.2},
        eta=1.0, steps=5, batch=6, updates=16, optimiser={"lr": 6e-3}, weights={"semantic": 1.0}, seed=1,
    )  # fmt: skip
    trainer = small_trainer(preset)

    def judge(motion, lengths, condition, t=0):
        paid = -motion[..., 3].detach().sum(1) / lengths
        return paid, {"low": paid}

    trainer.context = replace(trainer.context, reward=judge)
    rewards = [trainer.update(step)[0]["reward"] for step in range(16)]
    assert sum(rewards[-4:]) > sum(rewards[:4])


def test_shuffles_are_partitions():
    parts = policy._shuffled(7, 3, Random(0))
    assert sorted(row for part in parts for row in part) == list(range(7)) and len(parts) == 3
