"""Losses on denoising errors, worked out by hand, and the methods that use them."""

import math

import pytest
import torch
from torch.testing import assert_close

from motionrft.diffusion.schedule import broadcast
from motionrft.finetuning.preference import dpo_loss, sopo_loss
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.supervised import Corruption, denoising_error, with_dropped_text
from tests.finetuning.small import small_preset, small_prompts, small_trainer


def t(*values):
    return torch.tensor(values)


def test_dpo_is_log_two_without_a_difference_and_falls_when_the_winner_improves():
    even = dpo_loss(t(1.0), t(1.0), t(1.0), t(1.0), beta=2.0)
    assert_close(even, t(math.log(2)))
    # z = -(beta / 2) ((0.5 - 1) - (1 - 1)) = 0.5
    assert_close(dpo_loss(t(0.5), t(1.0), t(1.0), t(1.0), beta=2.0), t(math.log(1 + math.exp(-0.5))))


def test_sopo_drops_samples_that_are_good_enough():
    arguments = {"weight": t(1.5), "beta": 1.0}
    kept = sopo_loss(t(0.8), t(1.2), t(1.0), t(1.0), keep=t(1.0), **arguments)
    dropped = sopo_loss(t(0.8), t(1.2), t(1.0), t(1.0), keep=t(0.0), **arguments)
    assert_close(kept, t(math.log(1 + math.exp(1.5 * -0.2 - 0.2))))
    assert_close(dropped, t(math.log(1 + math.exp(1.5 * -0.2))))


class Recorded:
    """Random motions in place of a data set."""

    def motions(self, items, representation):
        generator = torch.Generator().manual_seed(3)
        return torch.randn(6, 40, 263, generator=generator)[items]


def trainer_with_motion(**method):
    preset = small_preset(
        data="somewhere", method=method, steps=4, weights={"semantic": 1.0, "similarity": 1.0}
    )
    trainer = small_trainer(preset)
    prepared = trainer.prepared
    prepared.references, prepared.motions, prepared.paired = None, True, "reward" in preset.method.needs
    lengths = small_prompts().lengths
    motion = Recorded().motions(torch.arange(6), "kinematic")
    prepared.recorded = lambda items: motion[items][:, : int(lengths[items].max())]
    return trainer


def moved(trainer):
    return sum(float(p.detach().double().sum()) for p in trainer.parameters.values())


@pytest.mark.parametrize("method", ["sft", "sopo"])
def test_methods_on_recorded_motions_make_one_update_a_batch(method):
    trainer = trainer_with_motion(method=method)
    before = moved(trainer)
    (line,) = trainer.update(0)
    assert math.isfinite(line["loss"]) and line["grad_norm"] > 0 and moved(trainer) != before
    assert line["position"] is None


def test_dpo_ranks_the_generators_own_samples():
    trainer = small_trainer(small_preset(method={"method": "dpo", "candidates": 3}, steps=4))
    (line,) = trainer.update(0)
    assert line["loss"] == pytest.approx(math.log(2), abs=1e-6), (
        "before any update all errors equal their reference"
    )
    assert line["accuracy"] == 0.0
    (line,) = trainer.update(1)
    assert line["loss"] != pytest.approx(math.log(2), abs=1e-9)


def test_supervised_tuning_lowers_its_own_error():
    trainer = trainer_with_motion(method="sft", drop_text=0.0)
    trainer.optimiser.settings = trainer.preset.optimiser.model_copy(update={"lr": 3e-3})
    losses = [trainer.update(step)[0]["loss"] for step in range(40)]
    assert sum(losses[-8:]) < sum(losses[:8])


def test_the_denoising_error_of_a_known_answer():
    trainer = trainer_with_motion(method="sft")
    context = trainer.context
    micro_batch = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]
    clean = torch.zeros_like(micro_batch.start.noise)
    times = torch.tensor([100, 500, 900])
    alpha, sigma = (broadcast(level, clean) for level in context.generator.schedule.levels(times))
    with torch.no_grad():
        x = alpha * clean + sigma * micro_batch.start.noise
        start = micro_batch.start
        answer = context.generator.predict(x, times, start.condition, start.lengths, 1.0)
        error = denoising_error(context, start, clean, Corruption(times, start.noise))
    mask = context.generator.state_mask(x, start.lengths).expand_as(x)
    for row in range(3):
        wanted = ((answer - start.noise)[row][mask[row]] ** 2).mean()
        assert_close(error[row], wanted)


def test_dropped_prompts_become_the_null_prompt():
    from random import Random

    trainer = trainer_with_motion(method="sft")
    start = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0].start
    null = start.condition.null.tokens[0]
    assert torch.equal(with_dropped_text(start, 1.0, Random(0)).condition.text.tokens[1], null)
    same = with_dropped_text(start, 0.0, Random(0))
    assert torch.equal(same.condition.text.tokens, start.condition.text.tokens)


@pytest.mark.parametrize("method", ["sft", "sopo"])
def test_methods_on_recorded_motions_ask_for_a_data_set(method):
    with pytest.raises(ValueError, match=f"{method} learns from recorded motions"):
        FinetunePreset.of({"method": {"method": method}})
