"""The loop against plainly written autograd: unrolled by hand, one function a method."""

import random
from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from motionrft.diffusion.plan import StepPlan, sampling_plan
from motionrft.diffusion.rollout import rollout, sample
from motionrft.finetuning.chain import WeightChain
from motionrft.finetuning.methods.alignprop import AlignPropPreset
from motionrft.finetuning.methods.base import plan_of
from motionrft.finetuning.methods.draft import DraftPreset
from motionrft.finetuning.methods.drtune import DRTunePreset
from motionrft.finetuning.methods.easytune import EasyTunePreset
from motionrft.finetuning.methods.easytune_chain import EasyTuneChainPreset
from motionrft.finetuning.methods.refl import ReflPreset
from tests.finetuning.toys import (
    ALPHA_BAR,
    GUIDANCE,
    STEPS,
    ToyGenerator,
    ToyProcess,
    ToyReward,
    gradient,
    toy_start,
    weights,
)

YES = StepPlan(graph=True)
END = StepPlan(graph=True, reward="next", update="step", last=True)


def rolled_gradient(plan, recompute=False, eta=0.0):
    """Gradient that the loop leaves in the weights when every update only adds up."""
    generator = ToyGenerator()
    for visit in rollout(generator, ToyProcess(eta), toy_start(), plan, GUIDANCE, ToyReward(), recompute):
        if visit.reward is not None:
            (-visit.reward.mean()).backward()
    return gradient(generator)


def unrolled_gradient(graph, net_cut=False, stop=STEPS - 1, judged="next", noise=None, eta=0.0):
    """The same by hand: `graph` positions keep their network call, everything else is plain arithmetic.

    x_{i+1} = sqrt(b) x0 + sqrt(1 - b - s^2) e + s n,  x0 = (x - sqrt(1 - a) e) / sqrt(a).
    """
    generator, start = ToyGenerator(), toy_start()
    x = start.noise
    for i in range(stop + 1):
        seen = x.detach() if net_cut else x
        e = generator.predict(seen, torch.tensor(STEPS - 1 - i), start.condition, start.lengths, GUIDANCE)
        e = e if i in graph else e.detach()
        a, b = ALPHA_BAR[i], ALPHA_BAR[i + 1]
        s = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
        x = b.sqrt() * x0 + (1 - b - s**2).sqrt() * e + (s * start.draw(i) if eta else 0)
    state, level = (x0, 0) if judged == "x0" else (x, STEPS - 1 - stop)
    reward, _ = ToyReward()(
        generator.decode(state, start.lengths), start.lengths, start.reward_condition, level
    )
    (-reward.mean()).backward()
    return gradient(generator)


@pytest.mark.parametrize("k", [1, 2, STEPS])
def test_draft_equals_the_unrolled_gradient(k):
    plan = plan_of(DraftPreset(k=k), STEPS, 0, random.Random(0))
    assert_close(rolled_gradient(plan), unrolled_gradient(range(STEPS - k, STEPS)), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_refl_equals_the_unrolled_gradient(seed):
    plan = plan_of(ReflPreset(m=4), STEPS, 0, random.Random(seed))
    stop = next(i for i, step in enumerate(plan) if step.last)
    expected = unrolled_gradient([stop], stop=stop, judged="x0")
    assert_close(rolled_gradient(plan), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_alignprop_equals_the_unrolled_gradient_with_and_without_recomputation(seed):
    plan = plan_of(AlignPropPreset(start="uniform"), STEPS, 0, random.Random(seed))
    expected = unrolled_gradient([i for i, step in enumerate(plan) if step.graph])
    assert_close(rolled_gradient(plan), expected, rtol=1e-6, atol=1e-12)
    assert_close(rolled_gradient(plan, recompute=True), expected, rtol=1e-6, atol=1e-12)


def test_a_masked_step_hands_on_the_gradient_of_earlier_ones():
    mask = {1, 3}
    plan = tuple(YES if i in mask else StepPlan() for i in range(STEPS - 1))
    plan = (*plan, StepPlan(reward="next", update="step", last=True))
    expected = unrolled_gradient(mask)
    assert expected.norm() > 0
    assert_close(rolled_gradient(plan), expected, rtol=1e-6, atol=1e-12)


def test_drtune_reaches_its_steps_along_the_samplers_path_only():
    cut = StepPlan(graph=True, detach="net"), StepPlan(detach="net")
    stop = StepPlan(detach="net", reward="x0", update="step", last=True)
    plan = (cut[0], cut[1], cut[1], cut[0], stop, cut[1])
    expected = unrolled_gradient({0, 3}, net_cut=True, stop=4, judged="x0")
    assert_close(rolled_gradient(plan), expected, rtol=1e-6, atol=1e-12)
    with_jacobians = unrolled_gradient({0, 3}, stop=4, judged="x0")
    assert (expected - with_jacobians).norm() > 1e-3 * expected.norm()


@pytest.mark.parametrize("seed", range(4))
def test_drtunes_own_plans_equal_the_unrolled_gradient(seed):
    plan = plan_of(DRTunePreset(k=3, m=3), STEPS, 0, random.Random(seed))
    stop = next(i for i, step in enumerate(plan) if step.last)
    carriers = [i for i in range(stop + 1) if plan[i].graph]
    expected = unrolled_gradient(carriers, net_cut=True, stop=stop, judged="x0")
    assert_close(rolled_gradient(plan), expected, rtol=1e-6, atol=1e-12)


def test_stochastic_steps_use_the_draws_of_the_start():
    plan = plan_of(DraftPreset(k=3), STEPS, 0, random.Random(0))
    expected = unrolled_gradient(range(3, STEPS), eta=1.0)
    assert_close(rolled_gradient(plan, eta=1.0), expected, rtol=1e-6, atol=1e-12)


def easytune_by_hand(judged, window, chain):
    """EasyTune written out: each state is a constant; k AdamW steps a trajectory."""
    learner, start = ToyGenerator(), toy_start()
    sampler = ToyGenerator() if chain else learner
    optimiser = torch.optim.AdamW(learner.denoiser.parameters(), lr=1e-2)
    x = start.noise
    for i in range(max(window) + 1):
        e = sampler.predict(x, torch.tensor(STEPS - 1 - i), start.condition, start.lengths, GUIDANCE)
        a, b = ALPHA_BAR[i], ALPHA_BAR[i + 1]
        x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
        onward = b.sqrt() * x0 + (1 - b).sqrt() * e
        if i in window:
            state, level = (x0, 0) if judged == "x0" else (onward, STEPS - 1 - i)
            reward, _ = ToyReward()(
                sampler.decode(state, start.lengths), start.lengths, start.reward_condition, level
            )
            slopes = torch.autograd.grad(-reward.mean(), list(sampler.denoiser.parameters()))
            for p, slope in zip(learner.denoiser.parameters(), slopes, strict=True):
                p.grad = slope
            optimiser.step()
        x = onward.detach()
    return weights(learner)


@pytest.mark.parametrize("judged", ["x0", "next"])
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_easytune_equals_step_by_step_adamw(judged, progress):
    generator = ToyGenerator()
    optimiser = torch.optim.AdamW(generator.denoiser.parameters(), lr=1e-2)
    plan = plan_of(EasyTunePreset(k=4, judge=judged), STEPS, progress, random.Random(0))
    for visit in rollout(generator, ToyProcess(), toy_start(), plan, GUIDANCE, ToyReward()):
        if visit.reward is not None:
            (-visit.reward.mean()).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
    window = range(4) if progress == 0 else range(2, 6)
    assert_close(weights(generator), easytune_by_hand(judged, window, chain=False), rtol=1e-6, atol=1e-9)


def test_easytune_with_one_step_is_refl_is_drafts_last_step_by_its_clean_prediction():
    easytune = plan_of(EasyTunePreset(k=1, rho=0), STEPS, 0, random.Random(0))
    refl = plan_of(ReflPreset(m=1), STEPS, 0, random.Random(0))
    assert easytune == refl
    expected = unrolled_gradient([STEPS - 1], judged="x0")
    assert_close(rolled_gradient(easytune), expected, rtol=1e-6, atol=1e-12)


def test_the_state_carried_over_an_update_has_no_graph():
    plan = (YES, StepPlan(graph=True, reward="x0", update="grad"), YES, END, *sampling_plan(2))
    generator, states = ToyGenerator(), []
    for visit in rollout(generator, ToyProcess(), toy_start(), plan, GUIDANCE, ToyReward()):
        states.append(visit.x)
        if visit.reward is not None:
            (-visit.reward.mean()).backward()
    assert [state.requires_grad for state in states] == [False, True, False, True]


def test_a_judged_step_without_any_graph_has_nothing_to_learn_from():
    plan = (*sampling_plan(STEPS - 1), StepPlan(reward="next", update="step", last=True))
    *_, end = rollout(ToyGenerator(), ToyProcess(), toy_start(), plan, GUIDANCE, ToyReward())
    assert end.reward.shape == (3,) and not end.reward.requires_grad


def test_draft_lv_judges_re_noised_copies_of_the_finished_sample():
    plan = plan_of(DraftPreset(copies=2), STEPS, 0, random.Random(0))
    generator, process, start = ToyGenerator(), ToyProcess(), toy_start()
    i, x = STEPS - 1, start.noise
    with torch.no_grad():
        for j in range(STEPS):
            e = generator.predict(x, torch.tensor(STEPS - 1 - j), start.condition, start.lengths, GUIDANCE)
            clean, x = process.clean(e, x, j), process.step(e, x, j).sample
    a, losses = ALPHA_BAR[i], []
    for n in range(2):
        laid_back = a.sqrt() * clean + (1 - a).sqrt() * start.draw(STEPS + n)
        e = generator.predict(laid_back, torch.tensor(0), start.condition, start.lengths, GUIDANCE)
        motion = generator.decode(process.step(e, laid_back, i).sample, start.lengths)
        losses.append(-ToyReward()(motion, start.lengths, start.reward_condition, 0)[0])
    torch.cat(losses).mean().backward()
    assert_close(rolled_gradient(plan), gradient(generator), rtol=1e-6, atol=1e-12)


def test_sample_is_the_plain_trajectory_without_gradient():
    generator, start = ToyGenerator(), toy_start()
    *_, end = rollout(generator, ToyProcess(), start, sampling_plan(STEPS), GUIDANCE)
    assert_close(sample(generator, ToyProcess(), start, GUIDANCE), end.step.sample.detach())
    assert not sample(generator, ToyProcess(), start, GUIDANCE).requires_grad


def held_bytes(plan, steps=STEPS):
    """Peak of bytes saved for backward while a trajectory runs; parameters are not counted."""
    generator = ToyGenerator()
    owned = {p.data_ptr() for p in generator.parameters()}
    live, peak = {}, 0

    def pack(tensor):
        nonlocal peak
        if tensor.data_ptr() not in owned:
            live[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
            peak = max(peak, sum(live.values()))
        return tensor

    visits = rollout(generator, ToyProcess(), toy_start(), plan, GUIDANCE, ToyReward())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for visit in visits:
            if visit.reward is not None:
                (-visit.reward.mean()).backward()
                live.clear()
    return peak


def test_memory_is_flat_for_easytune_and_refl_and_linear_for_draft():
    rng = random.Random(0)
    one = held_bytes(plan_of(ReflPreset(m=1), STEPS, 0, rng))
    for k in (1, 3, STEPS):
        assert held_bytes(plan_of(EasyTunePreset(k=k), STEPS, 1, rng)) == one
        assert held_bytes(plan_of(EasyTuneChainPreset(k=k), STEPS, 1, rng)) == one
    draft = [held_bytes(plan_of(DraftPreset(k=k), STEPS, 0, rng)) for k in range(2, STEPS + 1)]
    steps = {later - earlier for earlier, later in pairwise(draft)}
    assert len(steps) == 1 and steps.pop() > 0


def tuned_by_chain():
    generator = ToyGenerator()
    optimiser = torch.optim.AdamW(generator.denoiser.parameters(), lr=1e-2)
    chain = WeightChain(list(generator.denoiser.parameters()))
    plan = plan_of(EasyTuneChainPreset(k=4), STEPS, 1, random.Random(0))
    before = weights(generator)
    for visit in rollout(generator, ToyProcess(), toy_start(), plan, GUIDANCE, ToyReward()):
        if visit.reward is not None:
            (-visit.reward.mean()).backward()
            with chain.learning():
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            assert torch.equal(weights(generator), before)
    chain.adopt()
    return before, weights(generator)


def test_chain_equals_its_own_reference_and_differs_from_step():
    before, after = tuned_by_chain()
    assert_close(after, easytune_by_hand("x0", range(2, 6), chain=True), rtol=1e-6, atol=1e-9)
    stepwise = easytune_by_hand("x0", range(2, 6), chain=False)
    assert (after - stepwise).norm() > 0.01 * (after - before).norm()
