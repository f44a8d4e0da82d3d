"""Parity with the published adapters, heads, combined reward and validation metrics, case by case."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import RewardCondition
from motionrft.reward.classification import authenticity_metrics, official_swaps, preference_metrics
from motionrft.reward.motionreward.adapters import ranking_loss
from motionrft.reward.motionreward.gaussian import divergence
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.retrieval import RANKS, recall
from motionrft.text.base import TextEncoder, TextFeatures
from tests.parity.golden import Case, cases
from tests.parity.rewards import REPRESENTATIONS, close, critic_of, network_of


@pytest.mark.parametrize("case", cases("reward", op="critic"))
def test_critic(case: Case) -> None:
    network, x = network_of(case), case.tensors
    critic = critic_of(case, network, "critic", 1)
    representation, lengths = REPRESENTATIONS[case.info["repr"]], x["in/lengths"]
    motions = {name: x[f"in/motion_{name}"].clone().requires_grad_() for name in ("better", "worse")}
    close(network.motion(motions["better"], lengths, representation).mean, x["out/mu_base"], "mu_base")
    gaussian = critic.embed(network.motion, motions["better"], lengths, representation)
    close(gaussian.mean, x["out/mu_lora"], "mu_lora")
    close(gaussian.log_variance, x["out/logvar_lora"], "logvar_lora")
    scores = {
        name: critic(network.motion, motion, lengths, representation)[:, 0]
        for name, motion in motions.items()
    }
    close(scores["better"], x["out/score_better"], "score_better")
    close(scores["worse"], x["out/score_worse"], "score_worse")
    close(F.softplus(scores["worse"] - scores["better"]), x["out/pairwise_loss_each"], "pairwise_loss_each")
    close(ranking_loss(scores["better"], scores["worse"]), x["out/pairwise_loss"], "pairwise_loss")
    close((scores["better"] > scores["worse"]).float().mean(), x["out/pairwise_acc"], "pairwise_acc")
    (gradient,) = torch.autograd.grad(scores["better"].sum(), motions["better"])
    close(gradient, x["out/grad_motion_of_score_sum"], "gradient", gradient=True)
    window = torch.full_like(lengths, motions["better"].shape[1])
    full, auxiliary = [], torch.zeros(())
    for motion in motions.values():
        gaussian = critic.embed(network.motion, motion, window, representation)
        full.append(critic.head(gaussian.mean)[:, 0])
        decoded = network.decoder(gaussian.mean, window, representation, motion.shape[1])
        auxiliary = (
            auxiliary + F.smooth_l1_loss(decoded, motion) + 1e-5 * divergence(gaussian, gaussian.prior())
        )
    close(torch.stack(full, dim=1), x["out/critic_full_window"], "critic_full_window")
    close(auxiliary, x["out/aux_loss_full_window"], "aux_loss_full_window")


@pytest.mark.parametrize("case", cases("reward", op="ai_detection"))
def test_ai_detection(case: Case) -> None:
    network, x = network_of(case), case.tensors
    critic = critic_of(case, network, "ai_detection", 2)
    motion = x["in/motion"].clone().requires_grad_()
    representation = REPRESENTATIONS[case.info["repr"]]
    gaussian = critic.embed(network.motion, motion, x["in/lengths"], representation)
    close(gaussian.mean, x["out/mu"], "mu")
    close(gaussian.log_variance, x["out/logvar"], "logvar")
    logits = critic(network.motion, motion, x["in/lengths"], representation)
    close(logits, x["out/logits"], "logits")
    real = logits.softmax(-1)[:, 0]
    close(real, x["out/p_real"], "p_real")
    close(1 - real, x["out/p_generated"], "p_generated")
    close(F.cross_entropy(logits, x["in/labels"]), x["out/cross_entropy"], "cross_entropy")
    (gradient,) = torch.autograd.grad(real.sum(), motion)
    close(gradient, x["out/grad_motion_of_p_real_sum"], "gradient", gradient=True)


class GivenStates(TextEncoder):
    """A text encoder that returns the case's token states whatever it is asked."""

    name, identity, width, pooled_width = "given", "given", 0, None

    def __init__(self, tokens: Tensor, mask: Tensor) -> None:
        self.features = TextFeatures(tokens, mask)

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        return self.features


@pytest.mark.parametrize("case", cases("reward", op="combined_reward"))
def test_combined_reward(case: Case) -> None:
    network, x = network_of(case), case.tensors
    tokens, name = x["in/token_embeddings"], REPRESENTATIONS[case.info["repr"]]
    critics = {
        "preference": critic_of(case, network, "critic", 1),
        "authenticity": critic_of(case, network, "ai_detection", 2),
    }
    names = ("preference", "semantic", "similarity", "authenticity")
    reward = MotionReward(
        network,
        {name: Statistics(torch.zeros(1), torch.ones(1))},
        GivenStates(tokens, length_mask(x["in/text_lengths"], tokens.shape[1])),
        dict(zip(names, x["in/lambda"].tolist(), strict=True)),
        name,
        critics,
    )
    reward.adapter_time = True
    # Without a timestep the published call has no time token at all, which mode M0 is.
    timestep = next(
        (x[key] for key in ("in/timestep", "in/timestep_scalar", "in/timesteps") if key in x), None
    )
    network.size = dataclasses.replace(network.size, mode="M0T0" if timestep is None else "M1T0")
    t = 0 if timestep is None else timestep
    condition = reward.prepare([""] * len(tokens))
    mode, network.size = network.size, dataclasses.replace(network.size, mode="M0T0")
    reference = reward.embed_motion(x["in/gt_motion"], x["in/gt_lengths"])
    network.size = mode
    motion = x["in/motion"].clone().requires_grad_()
    total, terms = reward(motion, x["in/lengths"], RewardCondition(condition.text, reference), t)
    official = {
        "preference": "critic",
        "semantic": "retrieval",
        "similarity": "m2m",
        "authenticity": "p_real",
    }
    for ours, theirs in official.items():
        if ours in terms:
            close(terms[ours], x[f"out/{theirs}"], theirs)
    close(total, x["out/total"], "total")
    (gradient,) = torch.autograd.grad(total.mean(), motion)
    close(gradient, x["out/grad_motion_of_mean_total"], "gradient", gradient=True)


def close_percent(actual: float, expected: Tensor, name: str) -> None:
    """Published percentages are rounded to three decimals, per batch and again after averaging."""
    assert abs(actual - expected.item()) < 2e-3, f"{name}: {actual} against {expected.item()}"


@pytest.mark.parametrize("case", cases("reward", op="reward_metrics"))
def test_reward_metrics(case: Case) -> None:
    x = case.tensors
    text, motion = x["in/text_latents"], x["in/motion_latents"]
    order = torch.arange(len(text))
    for prefix, size in (("bs32", case.info["retrieval_batch_size"]), ("full", len(text))):
        found = recall(text, motion, order.view(-1, size))
        for direction in ("t2m", "m2t"):
            for k in RANKS:
                expected = x[f"out/{prefix}_{direction}/R{k}"]
                close_percent(found[f"{direction}/R{k}"], expected, f"{prefix} {direction} R{k}")
    scores = x["in/critic_scores"]
    swapped = official_swaps(len(scores))
    assert torch.equal(swapped, x["in/critic_swap_mask"])
    found = preference_metrics(scores[:, 0], scores[:, 1], swapped, case.info["critic_batches"])
    for name in ("acc", "precision", "recall", "f1", "loss"):
        close(torch.tensor(found[name]), x[f"out/critic/{name}"], name)
    found = authenticity_metrics(x["in/ai_logits"], x["in/ai_labels"], case.info["ai_batch_size"])
    for name in ("acc", "precision", "recall", "f1", "loss", "tp", "fp", "tn", "fn"):
        close(torch.tensor(float(found[name])), x[f"out/ai/{name}"], name)
