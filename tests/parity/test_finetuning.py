"""Parity with published policy gradients and preference losses, case by case."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from motionrft.diffusion.ddim import ddim
from motionrft.diffusion.dpm import dpm_table
from motionrft.diffusion.flow import euler
from motionrft.diffusion.process import log_prob
from motionrft.diffusion.schedule import Schedule
from motionrft.diffusion.table import TableProcess
from motionrft.finetuning.advantages import ADVANTAGES, RewardHistory
from motionrft.finetuning.pair_values import PairValues
from motionrft.finetuning.policy_losses import clipped_loss, mean_distance
from motionrft.finetuning.preference_losses import (
    dpo_loss,
    dpo_margin,
    similarity_score,
    sopo_choice,
    sopo_loss,
)
from motionrft.lengths import masked_mean
from tests.parity.golden import Case, cases


def close(case: Case, name: str, found: Tensor, gradient: bool = False) -> None:
    """|a - b| <= atol + rtol max|b|, ten times that for gradients, as the folder's README says."""
    wanted, tolerance = case[f"out/{name}"], case.info["tolerance"]
    found = found.detach().reshape(wanted.shape).to(wanted.dtype)
    largest = wanted.abs().max().item() if wanted.numel() else 0.0
    allowed = (tolerance["atol"] + tolerance["rtol"] * largest) * (10 if gradient else 1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=allowed, msg=lambda m: f"{name}: {m}")


def leaf(tensor: Tensor) -> Tensor:
    return tensor.clone().requires_grad_()


def walked(case: Case, process: TableProcess, predictions: Tensor, states: Tensor, noise: Tensor):
    """The steps of a case's positions, one after the other."""
    for row, i in enumerate(case["in/positions"].tolist()):
        yield process.step(predictions[row], states[row], i, noise[row])


@pytest.mark.parametrize("case", cases("finetuning", op="ddim_step_log_prob"))
def test_ddim_step_log_prob(case: Case) -> None:
    info, predictions = case.info, leaf(case["in/prediction"])
    schedule = Schedule(case["in/alphas_cumprod"])
    process = ddim(schedule, info["prediction"], info["steps"], info["eta"], info["spacing"], info["offset"])
    assert process.timesteps.tolist() == case["in/timesteps"].tolist()
    steps = list(walked(case, process, predictions, case["in/sample"], case["in/noise"]))
    close(case, "mean", torch.stack([step.mean for step in steps]))
    close(case, "std", torch.stack([step.std for step in steps]))
    close(case, "next", torch.stack([step.sample for step in steps]))
    if "out/log_prob" not in case:
        assert not any(process.stochastic), "without noise there is no log-probability"
        return
    own = torch.stack([log_prob(step, step.sample) for step in steps])
    others = [log_prob(step, action) for step, action in zip(steps, case["in/other_action"], strict=True)]
    close(case, "log_prob", own)
    close(case, "log_prob_of_other", torch.stack(others))
    (gradient,) = torch.autograd.grad(own.sum(), predictions)
    close(case, "grad_prediction", gradient, gradient=True)


@pytest.mark.parametrize("case", cases("finetuning", op="dpm_sde_log_prob"))
def test_dpm_sde_log_prob(case: Case) -> None:
    ratio = case["in/sigmas"][:-1]
    process = dpm_table(ratio, case["in/timesteps"], case.info["prediction"], case.info["order"])
    x, memory, steps = case["in/noise_start"], None, []
    for i in range(process.steps):
        steps.append(process.step(case["in/predictions"][i], x, i, case["in/noises"][i], memory))
        x, memory = steps[-1].sample, steps[-1].memory
    close(case, "states", torch.stack([case["in/noise_start"], *(step.sample for step in steps)]))
    close(case, "means", torch.stack([step.mean for step in steps]))
    close(case, "std", torch.stack([step.std for step in steps]))
    probable = [log_prob(s, s.sample) for s, noisy in zip(steps, process.stochastic, strict=True) if noisy]
    close(case, "log_prob", torch.stack(probable))


@pytest.mark.parametrize("case", cases("finetuning", op="advantages_with_history"))
def test_advantages_with_history(case: Case) -> None:
    history = RewardHistory(case.info["buffer_size"], case.info["min_count"])
    epochs = zip(case["in/rewards"], case["in/prompts"], strict=True)
    close(case, "advantages", torch.stack([history.advantages(*epoch) for epoch in epochs]))
    kept = [torch.tensor(rewards, dtype=torch.float64) for _, rewards in sorted(history.rewards.items())]
    close(case, "final_count", torch.tensor([len(rewards) for rewards in kept]))
    close(case, "final_mean", torch.stack([rewards.mean() for rewards in kept]))
    close(case, "final_std", torch.stack([rewards.std(correction=0) for rewards in kept]))


@pytest.mark.parametrize("case", cases("finetuning", op="group_advantages"))
def test_group_advantages(case: Case) -> None:
    names = {"flow_group_std": "group", "flow_batch_std": "flow", "dance": "dance"}
    for out, name in names.items():
        if f"out/{out}" in case:
            close(case, out, ADVANTAGES[name](case["in/rewards"], case.info["group"]))


@pytest.mark.parametrize("case", cases("finetuning", op="clipped_policy_loss"))
def test_clipped_policy_loss(case: Case) -> None:
    now = leaf(case["in/log_prob"])
    found = clipped_loss(
        now, case["in/old_log_prob"], case["in/advantages"], case.info["clip"], case.info["advantage_clip"]
    )
    close(case, "ratio", found.ratio)
    close(case, "loss", found.loss.mean())
    (gradient,) = torch.autograd.grad(found.loss.mean(), now)
    close(case, "grad_log_prob", gradient, gradient=True)
    close(case, "approximate_kl", found.approximate_kl)
    close(case, "clipped_share", found.clipped_share)


@pytest.mark.parametrize("case", cases("finetuning", op="flow_sde_step"))
def test_flow_sde_step(case: Case) -> None:
    velocity = leaf(case["in/velocity"])
    process = euler(1 - case["in/sigmas"], case.info["noise_level"])
    steps = list(walked(case, process, -velocity, case["in/sample"], torch.zeros_like(velocity)))
    close(case, "mean", torch.stack([step.mean for step in steps]))
    close(case, "std", torch.stack([step.std for step in steps]))
    found = torch.stack([log_prob(s, a) for s, a in zip(steps, case["in/action"], strict=True)])
    close(case, "log_prob", found)
    (gradient,) = torch.autograd.grad(found.sum(), velocity)
    close(case, "grad_velocity", gradient, gradient=True)


@pytest.mark.parametrize("case", cases("finetuning", op="dance_sde_step"))
def test_dance_sde_step(case: Case) -> None:
    process = euler(1 - case["in/sigmas"], case.info["eta"], constant=True)
    noise = torch.zeros_like(case["in/sample"])
    steps = list(walked(case, process, -case["in/velocity"], case["in/sample"], noise))
    close(case, "mean", torch.stack([step.mean for step in steps]))
    close(case, "x0", torch.stack([step.x0 for step in steps]))
    close(case, "std", torch.stack([step.std for step in steps]))
    found = torch.stack([log_prob(s, a) for s, a in zip(steps, case["in/action"], strict=True)])
    close(case, "log_prob", found)


@pytest.mark.parametrize("case", cases("finetuning", op="grpo_loss"))
def test_grpo_loss(case: Case) -> None:
    info = case.info
    mean = leaf(case["in/mean"])
    process = euler(
        torch.tensor([0.0, 1.0], dtype=torch.float64)
    )  # any step: its mean and deviation are replaced
    step = process.step(torch.zeros_like(mean), torch.zeros_like(mean), 0)
    step = replace(step, mean=mean, std=mean.new_tensor(info["std"]))
    now = log_prob(step, case["in/action"])
    policy = clipped_loss(
        now, case["in/old_log_prob"], case["in/advantages"], info["clip"], info["advantage_clip"]
    ).loss.mean()
    close(case, "policy_loss", policy)
    deviations = {"code": info["std"] / info["dt"] ** 0.5, "paper": info["std"]}
    for name, deviation in deviations.items():
        kl = mean_distance(mean, case["in/mean_reference"], deviation).mean()
        loss = policy + info["beta"] * kl
        close(case, f"kl_{name}", kl)
        close(case, f"loss_{name}", loss)
        (gradient,) = torch.autograd.grad(loss, mean, retain_graph=True)
        close(case, f"grad_mean_{name}", gradient, gradient=True)


@pytest.mark.parametrize("case", cases("finetuning", op="diffusion_dpo_loss"))
def test_diffusion_dpo_loss(case: Case) -> None:
    prediction = leaf(case["in/prediction"])
    tuned, untuned = (
        masked_mean((answer - case["in/target"]).square(), None).chunk(2)
        for answer in (prediction, case["in/reference_prediction"])
    )
    errors = PairValues(*tuned, *untuned)
    close(case, "error_won", errors.won)
    close(case, "error_lost", errors.lost)
    close(case, "reference_error_won", errors.won_reference)
    close(case, "reference_error_lost", errors.lost_reference)
    loss = dpo_loss(errors, case.info["beta"])
    close(case, "loss_each", loss)
    close(case, "loss", loss.mean())
    close(case, "implicit_accuracy", (dpo_margin(errors, case.info["beta"]) > 0).double().mean())
    (gradient,) = torch.autograd.grad(loss.mean(), prediction)
    close(case, "grad_prediction", gradient, gradient=True)


@pytest.mark.parametrize("case", cases("finetuning", op="sopo_loss"))
def test_sopo_loss(case: Case) -> None:
    info = case.info
    won, candidates = leaf(case["in/error_won"]), leaf(case["in/error_candidates"])
    choice = sopo_choice(case["in/scores"], case["in/similarities"], info["tau"], info["C"], info["beta"])
    assert torch.equal(choice.worst, case["out/worst"])
    close(case, "keep", choice.keep)
    close(case, "weight", choice.weight)
    rows = torch.arange(len(won))
    lost, reference = (
        candidates[rows, choice.worst],
        case["in/reference_error_candidates"][rows, choice.worst],
    )
    errors = PairValues(won, lost, case["in/reference_error_won"], reference)
    loss = sopo_loss(errors, choice, info["beta"], info["scale"])
    close(case, "loss_each", loss)
    close(case, "loss", loss.mean())
    gradients = torch.autograd.grad(loss.mean(), (won, candidates))
    close(case, "grad_error_won", gradients[0], gradient=True)
    close(case, "grad_error_candidates", gradients[1], gradient=True)


@pytest.mark.parametrize("case", cases("finetuning", op="tmr_score_vector"))
def test_tmr_score_vector(case: Case) -> None:
    close(case, "score", similarity_score(case["in/first"], case["in/second"]))
