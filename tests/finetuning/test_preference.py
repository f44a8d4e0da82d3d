"""Losses on denoising errors, worked out by hand, and the methods that use them."""

import math
from dataclasses import replace
from random import Random

import pytest
import torch
from torch.testing import assert_close

from motionrft.diffusion.schedule import broadcast
from motionrft.errors import UserError
from motionrft.finetuning import preference
from motionrft.finetuning.methods.sopo import SopoPreset
from motionrft.finetuning.pair_values import PairValues
from motionrft.finetuning.preference_losses import SopoChoice, dpo_loss, dpo_margin, sopo_loss
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.supervised import Corruption, denoising_error, with_dropped_text
from motionrft.reward.unified import Part, UnifiedReward
from motionrft.training.state import join_tree, split_tree
from tests.finetuning.small import small_preset, small_prompts, small_reward, small_tmr, small_trainer

UNIT = {"semantic": (0.0, 1.0), "similarity": (0.0, 1.0)}


def t(*values):
    return torch.tensor(values)


def errors(won, lost):
    """Errors of one pair whose reference errors are both 1."""
    return PairValues(t(won), t(lost), t(1.0), t(1.0))


def test_dpo_is_log_two_without_a_difference_and_falls_when_the_winner_improves():
    assert_close(dpo_loss(errors(1.0, 1.0), beta=2.0), t(math.log(2)))
    # z = -(beta / 2) ((0.5 - 1) - (1 - 1)) = 0.5
    assert_close(dpo_margin(errors(0.5, 1.0), beta=2.0), t(0.5))
    assert_close(dpo_loss(errors(0.5, 1.0), beta=2.0), t(math.log(1 + math.exp(-0.5))))


def test_sopo_drops_samples_that_are_good_enough():
    kept, dropped = (SopoChoice(t(0), t(keep), t(1.5)) for keep in (1.0, 0.0))
    assert_close(sopo_loss(errors(0.8, 1.2), kept, beta=1.0), t(math.log(1 + math.exp(1.5 * -0.2 - 0.2))))
    assert_close(sopo_loss(errors(0.8, 1.2), dropped, beta=1.0), t(math.log(1 + math.exp(1.5 * -0.2))))


@pytest.mark.parametrize(
    ("variant", "keep", "weight"),
    [
        ("sopo", [1.0, 0.0], [1.5, 1.0]),
        ("usopo", [1.0, 0.0], [1.0, 1.0]),
        ("weighted", [1.0, 1.0], [1.5, 1.0]),
        ("dsopo", [1.0, 1.0], [1.0, 1.0]),
    ],
)
def test_the_ablations_of_the_article_by_name(variant, keep, weight):
    method = SopoPreset(variant=variant, tau=0.45)
    made = preference.Candidates(
        torch.zeros(2, 2, 1), torch.zeros(2, 2),
        {"semantic": t([0.4, 0.9], [0.6, 0.5]), "similarity": t([0.5, 0.9], [1.0, 1.0])},
    )  # fmt: skip
    context = replace(trainer_with_motion(method="sopo").context, method=method, ranges=UNIT)
    choice = preference.chosen(context, method, made, 0.45)
    assert choice.worst.tolist() == [0, 1] and choice.keep.tolist() == keep
    assert_close(choice.weight, t(*weight))


@pytest.mark.parametrize(("limits", "score", "found"), [((-1.0, 1.0), -0.1, 0.45), ((0.0, 1.0), 0.45, 0.45)])
def test_scores_are_mapped_once_by_the_range_that_the_reward_declares(limits, score, found):
    """TMR's score is on [0, 1] already: mapped again, nothing would lie below 0.45."""
    context = replace(trainer_with_motion(method="sopo").context, ranges={"semantic": limits})
    assert_close(preference.in_unit(context, "semantic", {"semantic": t(score)}), t(found))


def test_a_term_without_a_declared_range_is_refused():
    context = replace(trainer_with_motion(method="sopo").context, ranges={})
    with pytest.raises(UserError, match="declares a range for: none"):
        preference.in_unit(context, "semantic", {"semantic": t(0.3)})


@pytest.mark.parametrize("steps", [1, 3])
def test_every_reward_declares_the_range_that_its_terms_keep(steps):
    torch.manual_seed(steps)
    for reward in (small_reward(), small_tmr()):
        motion, lengths = torch.randn(8, 40, 263) * 3, torch.full((8,), 40)
        condition = reward.prepare([f"text {n}" for n in range(8)], motion.flip(0), lengths)
        _, terms = reward(motion, lengths, condition)
        for name, (low, high) in reward.ranges.items():
            assert low <= float(terms[name].min()) and float(terms[name].max()) <= high
        assert UnifiedReward([Part(reward, reward.width)]).ranges == reward.ranges


class Recorded:
    """Random motions in place of a data set."""

    def motions(self, items, representation):
        generator = torch.Generator().manual_seed(3)
        return torch.randn(6, 40, 263, generator=generator)[items]


def trainer_with_motion(reward=None, **method):
    preset = small_preset(
        data="somewhere", method=method, steps=4, weights={"semantic": 1.0, "similarity": 1.0}
    )
    trainer = small_trainer(preset, reward=reward)
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


def context_that_records(trainer, corruptions, starts):
    """The trainer's context, remembering the noise of every corruption and every trajectory's start."""
    context = trainer.context
    predict = context.generator.predict

    def spied(x, t, *rest):
        if t.dim() == 0 and int(t) == int(context.process.timesteps[0]):
            starts.append(x.clone())
        return predict(x, t, *rest)

    context.generator.predict = spied
    original = preference.drawn

    def drawn(*arguments):
        corruption = original(*arguments)
        corruptions.append(corruption.noise.clone())
        return corruption

    return context, drawn


@pytest.mark.parametrize("method", [{"method": "sopo"}, {"method": "dpo", "candidates": 3}], ids=str)
def test_corrupting_noise_is_independent_of_the_noise_that_samples_were_made_of(method, monkeypatch):
    trainer = trainer_with_motion(**method) if method["method"] == "sopo" else small_trainer(
        small_preset(method=method, steps=4)
    )  # fmt: skip
    corruptions, starts = [], []
    trainer.context, drawn = context_that_records(trainer, corruptions, starts)
    monkeypatch.setattr(preference, "drawn", drawn)
    trainer.update(0)
    used = torch.cat(starts).flatten(1)
    noise = torch.cat(corruptions).flatten(1)
    shared = torch.nn.functional.cosine_similarity(noise[:, None], used[None], dim=-1)
    assert len(noise) == 3 and shared.abs().max() < 0.9


def test_tau_auto_is_a_quantile_of_the_first_scores_and_stays():
    trainer, said = trainer_with_motion(method="sopo", candidates=3), []
    trainer.context = replace(trainer.context, say=said.append)
    kept = [trainer.update(step)[0]["kept"] for step in range(3)]
    assert 0 < kept[0] < 1 and len(said) == 1 and said[0].startswith("tau is")
    again = trainer_with_motion(method="sopo", candidates=3)
    again.load_state_dict(join_tree(*split_tree(trainer.state_dict())))
    assert again.context.memory[preference.TAU] == trainer.context.memory[preference.TAU]
    assert again.update(3)[0]["loss"] == trainer.update(3)[0]["loss"]


def test_tau_auto_waits_for_more_prompts_than_a_small_batch_has():
    """Of a single prompt the worst score would be its own threshold: nothing would lie below."""
    trainer, said = trainer_with_motion(method="sopo"), []
    context = replace(trainer.context, say=said.append)
    scores = torch.linspace(0.9, 0.1, preference.ENOUGH)[:, None]  # (8, 1) of as many updates of one prompt
    found = [preference.threshold(context, score[None]) for score in scores]
    assert found[0] == pytest.approx(0.9) and found[-1] == pytest.approx(0.5) and len(said) == 1
    assert preference.threshold(context, torch.zeros(1, 1)) == found[-1]


@pytest.mark.parametrize(("tau", "words"), [(0.0, "this is supervised tuning"), (1.0, "it selects nothing")])
def test_a_threshold_that_for_long_never_or_always_acts_is_said_once(tau, words):
    trainer, said = trainer_with_motion(method="sopo", tau=tau), []
    trainer.context = replace(trainer.context, say=said.append)
    for step in range(preference.WATCHED // trainer.preset.batch + 2):
        assert not said or step * trainer.preset.batch >= preference.WATCHED
        (line,) = trainer.update(step)
    assert line["kept"] == tau and [words in text for text in said] == [True]


def test_a_threshold_that_ceases_to_act_is_said_whenever_that_is():
    """A generator can grow better than its threshold late in a run."""
    trainer, said = trainer_with_motion(method="sopo", tau=0.5), []
    context = replace(trainer.context, say=said.append)
    for kept in (0.5, 0.0, 0.5, *[0.0] * 5):
        preference.watch_share(context, kept, 8, 0.5)
    assert len(said) == 1 and said[0].startswith("Of the last 32 prompts no sample")


def test_sopo_with_tmr_acts_on_some_samples_and_not_on_others():
    trainer = trainer_with_motion(method="sopo", candidates=4, reward=small_tmr())
    shares = [trainer.update(step)[0]["kept"] for step in range(4)]
    assert 0 < sum(shares) / 4 < 1


def test_sopo_reads_terms_that_must_be_there():
    with pytest.raises(ValueError, match=r"sopo reads the similarity term itself: give weights.similarity"):
        FinetunePreset.of({"method": {"method": "sopo"}, "data": "d", "weights": {"semantic": 1.0}})
    FinetunePreset.of(
        {"method": {"method": "sopo", "variant": "usopo"}, "data": "d", "weights": {"semantic": 1.0}}
    )


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
