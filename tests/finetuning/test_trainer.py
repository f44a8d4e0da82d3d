"""Trajectories become updates: counted, resumable bit for bit, portioned, metered, with adapters or full
weights.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from motionrft.finetuning.adapters import merged
from motionrft.finetuning.compiled import compiled
from motionrft.finetuning.methods.base import usable_methods
from motionrft.training.schedule import rate_factor
from motionrft.training.state import join_tree, split_tree
from tests.finetuning.small import TEXTS, small_preset, small_trainer

PLANNED = [name for name, method in usable_methods().items() if method.follows_plan]
KEYS = {"trajectory", "position", "t", "loss", "reward", "reward/semantic", "reward/similarity", "grad_norm"}


def method_of(name):
    short = {"easytune": {"k": 4}, "easytune-chain": {"k": 4}, "refl": {"m": 4}, "draft": {"k": 2}}
    short |= {"drtune": {"k": 3, "m": 3}, "alignprop": {}}
    return {"method": name, **short[name]}


def tuned(trainer, updates=8):
    lines = []
    while len(lines) < updates:
        lines += trainer.update(len(lines))
    return lines


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.parameters.values()])


@pytest.mark.parametrize("name", PLANNED)
def test_every_method_moves_the_weights_and_says_what_it_did(name):
    trainer = small_trainer(small_preset(method=method_of(name), updates=4))
    before = weights(trainer).clone()
    lines = tuned(trainer, 4)
    assert len(lines) == 4 and set(lines[0]) >= KEYS | {"lr", "seconds", "graph_bytes"}
    assert all(line["graph_bytes"] > 0 and line["grad_norm"] > 0 for line in lines)
    assert (weights(trainer) - before).abs().max() > 0


@pytest.mark.parametrize("name", PLANNED)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(name):
    preset = small_preset(method=method_of(name), ema=0.9)
    whole = small_trainer(preset)
    tuned(whole)
    first = small_trainer(preset)
    made = 0
    while made < 4:
        made += len(first.update(made))
    tensors, value = split_tree(first.state_dict())
    second = small_trainer(preset)
    second.load_state_dict(join_tree({k: v.clone() for k, v in tensors.items()}, value))
    while made < 8:
        made += len(second.update(made))
    assert torch.equal(weights(second), weights(whole))


@pytest.mark.parametrize(
    ("planned", "longer"), [({"updates": 2}, {"updates": 6}), ({"epochs": 1}, {"epochs": 2})]
)
def test_a_run_taken_up_for_longer_ends_and_falls_as_the_longer_one(planned, longer):
    method = {"method": "draft", "k": 2}
    short = small_trainer(small_preset(method=method, **planned))
    tuned(short, short.planned)
    tensors, value = split_tree(short.state_dict())
    taken_up = small_trainer(small_preset(method=method, **longer))
    taken_up.load_state_dict(join_tree({k: v.clone() for k, v in tensors.items()}, value))
    assert taken_up.total == taken_up.planned == small_trainer(small_preset(method=method, **longer)).total
    rate = taken_up.update(short.planned)[0]["lr"]
    assert rate == pytest.approx(1e-3 * rate_factor(short.planned, total=taken_up.planned))
    assert rate > 1e-3 * rate_factor(short.planned, total=short.planned)


def test_a_trajectory_that_would_pass_the_new_end_is_cut_there():
    short = small_trainer(small_preset(updates=2))
    tuned(short, 2)
    taken_up = small_trainer(small_preset(updates=4))
    taken_up.load_state_dict(short.state_dict())
    assert len(taken_up.update(2)) == 2


def test_epochs_are_counted_in_prompts():
    assert (
        small_trainer(small_preset(epochs=2, updates=None)).planned == 2 * 2 * 4
    )  # 6 prompts by 3, four updates each
    assert small_trainer(small_preset(epochs=2, updates=5)).planned == 5
    policy = {"method": "ddpo", "updates": 2, "epochs": 3}
    assert small_trainer(small_preset(epochs=0.5, method=policy, eta=1.0)).planned == 6


def test_each_visit_of_a_prompt_has_fresh_noise_and_the_next_caption():
    trainer = small_trainer(small_preset())
    prepared, item = trainer.prepared, torch.tensor([1])
    said = [(TEXTS[0],), ("waves", "greets"), *((text,) for text in TEXTS[2:])]
    prepared.prompts = replace(prepared.prompts, captions=said)
    starts = [prepared.micro_batches(item, visit, None)[0].start for visit in range(3)]
    assert all((a.noise != b.noise).all() for a, b in pairwise(starts))
    reads = [start.condition.text.tokens for start in starts]
    assert torch.equal(reads[0], reads[2]) and (reads[0] != reads[1]).any()
    kept = small_trainer(small_preset(reference={"noises": 2})).prepared
    noises = [kept.micro_batches(item, visit, None)[0].start.noise for visit in range(3)]
    assert torch.equal(noises[0], noises[2]) and (noises[0] != noises[1]).all()


@pytest.mark.parametrize("name", ["easytune", "draft", "drtune"])
def test_portions_add_up_to_the_whole_batch(name):
    whole = small_trainer(small_preset(method=method_of(name)))
    parted = small_trainer(small_preset(method=method_of(name), micro_batch=1))
    one, other = tuned(whole, 4), tuned(parted, 4)
    assert_close([line["loss"] for line in one], [line["loss"] for line in other], rtol=1e-4, atol=1e-5)
    assert_close(
        [line["grad_norm"] for line in one], [line["grad_norm"] for line in other], rtol=1e-3, atol=1e-5
    )
    assert max(line["graph_bytes"] for line in other) < max(line["graph_bytes"] for line in one)


def test_the_similarity_term_is_one_before_the_first_update():
    preset = small_preset(method={"method": "draft", "k": 1})
    line = small_trainer(preset).update(0)[0]
    assert line["reward/similarity"] == pytest.approx(1.0, abs=1e-5)


def test_the_reference_may_be_guided_where_the_tuning_is_not():
    preset = small_preset(method={"method": "draft", "k": 1}, reference={"guidance": 2.5})
    assert small_trainer(preset).update(0)[0]["reward/similarity"] < 1 - 1e-6


def test_the_last_trajectory_is_cut_at_the_number_of_updates():
    trainer = small_trainer(small_preset(updates=6))
    assert len(trainer.update(0)) == 4
    assert len(trainer.update(4)) == 2


def test_tuning_raises_the_reward():
    trainer = small_trainer(small_preset(updates=60, batch=6, optimiser={"lr": 3e-3}))
    lines = tuned(trainer, 60)
    late = [line for line in lines if line["position"] == 11]
    assert sum(line["reward"] for line in late[-3:]) > sum(line["reward"] for line in late[:3])


def test_graph_bytes_do_not_depend_on_the_number_of_steps():
    easytune = {"method": "easytune", "k": 4, "rho": 0}
    peaks = []
    for steps in (10, 25, 50):
        lines = small_trainer(small_preset(steps=steps, method=easytune)).update(0)
        peaks.append(max(line["graph_bytes"] for line in lines))
    assert max(peaks) - min(peaks) <= 0.002 * min(peaks), (
        "the sampler's table, a few bytes a step, is all that grows"
    )


def test_low_rank_adapters_train_alone_and_fold_into_the_saved_generator():
    trainer = small_trainer(small_preset(lora={"enabled": True, "rank": 2}, optimiser={"lr": 1e-2}))
    assert all("lora_" in name for name in trainer.parameters)
    line = tuned(trainer)[0]
    assert line["reward/similarity"] < 1.0001
    generator = trainer.context.generator
    folded = merged(generator)
    x = torch.randn(2, *generator.noise_shape(torch.tensor([40, 40]))[1:])
    condition = generator.encode_text(TEXTS[:2])
    arguments = (x, torch.tensor(400), condition, torch.tensor([40, 40]), 1.0)
    with torch.no_grad():
        assert_close(folded.predict(*arguments), generator.predict(*arguments), rtol=1e-4, atol=1e-5)
        with trainer.context.frozen():
            untuned = generator.predict(*arguments)
    assert (untuned - generator.predict(*arguments).detach()).abs().max() > 1e-4
    assert not any("lora" in name for name in folded.state_dict())


def test_a_frozen_part_stays_as_it_is():
    trainer = small_trainer(small_preset(freeze=["emb_proj"]))
    assert not any(name.startswith("emb_proj") for name in trainer.parameters)
    before = {name: p.clone() for name, p in trainer.context.generator.denoiser.emb_proj.named_parameters()}
    tuned(trainer, 4)
    after = dict(trainer.context.generator.denoiser.emb_proj.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", ["easytune", "draft"])
def test_compiled_calls_give_the_same_trajectory(name):
    """Traced, not lowered: what is tested is that the call has no break and that its answers are the same."""
    plain = small_trainer(small_preset(method=method_of(name)))
    glided = small_trainer(small_preset(method=method_of(name)))
    context = glided.context
    glided.context = replace(context, compiled=compiled(context.generator, context.reward, backend="eager"))
    one, other = plain.update(0), glided.update(0)
    assert_close([line["loss"] for line in one], [line["loss"] for line in other], rtol=1e-5, atol=1e-6)
