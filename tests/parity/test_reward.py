"""Parity with the published reward code, case by case; sizes, options and tensors come from each file."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.evaluation.metrics.retrieval import tmr_all, tmr_threshold
from motionrft.lengths import length_mask
from motionrft.official.adapters import adapter_rank, adapter_state
from motionrft.official.motionreward import deal_out, size_from_config
from motionrft.official.spm import spm_size, spm_state
from motionrft.representations.statistics import Statistics
from motionrft.reward import losses, noise, spl
from motionrft.reward.adapters import Judge, ranking_loss
from motionrft.reward.base import RewardCondition
from motionrft.reward.classification import authenticity_metrics, official_swaps, preference_metrics
from motionrft.reward.encoder import MotionRewardNetwork
from motionrft.reward.gaussian import divergence
from motionrft.reward.losses import Encoded
from motionrft.reward.motioncritic import DualStream, MotionCriticNetwork, clipped_mean
from motionrft.reward.motionreward import MotionReward
from motionrft.reward.retrieval import RANKS, recall
from motionrft.reward.tmr import TMRNetwork, tmr_score
from motionrft.text.base import TextEncoder, TextFeatures
from motionrft.transformer import timestep_features
from tests.parity.golden import Case, cases

REPRESENTATIONS = {"263": "kinematic", "22x3": "joints", "135": "rotation"}


def close(actual: Tensor, expected: Tensor, name: str, gradient: bool = False) -> None:
    tolerance = 1e-4 * expected.abs().max().item() if gradient else 2e-5
    torch.testing.assert_close(
        actual.detach().float(), expected, atol=tolerance, rtol=2e-5, msg=lambda m: f"{name}: {m}"
    )


def network_of(case: Case) -> MotionRewardNetwork:
    """The case's network in eval mode; only the weights that the operation touches are stored."""
    state = case.group("state/")
    positions = next((v.shape[0] for k, v in state.items() if k.endswith("pos_encoder.pe")), 500)
    text_width = state["text_embedding.weight"].shape[1] if "text_embedding.weight" in state else 1024
    network = MotionRewardNetwork(size_from_config(case.info["config"], text_width, positions)).eval()
    _missing, unexpected = network.load_state_dict(deal_out(state), strict=False)
    assert not unexpected
    return network


@pytest.mark.parametrize("case", cases("reward", op="motion_encoder"))
def test_motion_encoder(case: Case) -> None:
    network, x = network_of(case), case.tensors
    representation = REPRESENTATIONS[case.info["repr"]]
    motion = x["in/motion"].clone().requires_grad_()
    close(network.motion.project(motion, x["in/lengths"], representation), x["out/projected"], "projected")
    gaussian = network.motion(motion, x["in/lengths"], representation)
    close(gaussian.mean, x["out/mu"], "mu")
    close(gaussian.log_variance, x["out/logvar"], "logvar")
    close(gaussian.sample(x["in/eps"][0]), x["out/z"], "z")
    (gradient,) = torch.autograd.grad((gaussian.mean * x["in/grad_weight"]).sum(), motion)
    close(gradient, x["out/grad_motion"], "grad_motion", gradient=True)


@pytest.mark.parametrize("case", cases("reward", op="text_encoder"))
def test_text_encoder(case: Case) -> None:
    network, x = network_of(case), case.tensors
    tokens = x["in/token_embeddings"]
    gaussian = network.text(tokens, length_mask(x["in/lengths"], tokens.shape[1]))
    close(gaussian.mean, x["out/mu"], "mu")
    close(gaussian.log_variance, x["out/logvar"], "logvar")


@pytest.mark.parametrize("case", cases("reward", op="timestep_path"))
def test_timestep_path(case: Case) -> None:
    network, x = network_of(case), case.tensors
    t, batch = x["in/timesteps"], len(x["in/timesteps"])
    close(timestep_features(t, 512), x["out/sinusoid"], "sinusoid")
    close(network.motion.embed_time(t, batch), x["out/time_emb_motion"], "time_emb_motion")
    close(network.text.embed_time(t, batch), x["out/time_emb_text"], "time_emb_text")

    def motion(t):
        return network.motion(x["in/motion"], x["in/lengths"], REPRESENTATIONS[case.info["repr"]], t)

    tokens = x["in/token_embeddings"]
    mask = length_mask(x["in/text_lengths"], tokens.shape[1])
    towers = {
        "0": (network.text(tokens, mask), motion(None)),
        "1": (network.text(tokens, mask, t), motion(t)),
    }
    for suffix, t_value in {"no_t": None, "t": t, "t_scalar": x["in/timestep_scalar"]}.items():
        close(motion(t_value).mean, x[f"out/mu_{suffix}"], f"mu_{suffix}")
        close(motion(t_value).log_variance, x[f"out/logvar_{suffix}"], f"logvar_{suffix}")
    close(towers["0"][0].mean, x["out/text_mu_no_t"], "text_mu_no_t")
    close(towers["1"][0].mean, x["out/text_mu_t"], "text_mu_t")
    for mode in ("M0T0", "M1T0", "M0T1", "M1T1"):
        cosine = F.cosine_similarity(towers[mode[3]][0].mean, towers[mode[1]][1].mean)
        close(cosine, x[f"out/cos_{mode}"], mode)


@pytest.mark.parametrize("case", cases("reward", op="decoder"))
def test_decoder(case: Case) -> None:
    network, x = network_of(case), case.tensors
    for name, representation in REPRESENTATIONS.items():
        if f"out/decoded_{name}" in x:
            frames = case.info.get("max_len", x[f"out/decoded_{name}"].shape[1])
            decoded = network.decoder(x["in/z"], x["in/lengths"], representation, frames)
            close(decoded, x[f"out/decoded_{name}"], name)
            assert decoded[~length_mask(x["in/lengths"], frames)].abs().sum() == 0


@pytest.mark.parametrize("case", cases("reward", op="stage1_losses"))
def test_stage1_losses(case: Case) -> None:
    network, x = network_of(case), case.tensors
    representation, mode, config = REPRESENTATIONS[case.info["repr"]], case.info["mode"], case.info["config"]
    motion, lengths, tokens, t = x["in/motion"], x["in/lengths"], x["in/token_embeddings"], x["in/timesteps"]
    mask = length_mask(x["in/text_lengths"], tokens.shape[1])
    text = network.text(tokens, mask, t if mode[3] == "1" else None)
    moving = network.motion(motion, lengths, representation, t if mode[1] == "1" else None)
    z_text, z_motion = text.sample(x["in/eps_text"][0]), moving.sample(x["in/eps_motion"][0])
    frames = motion.shape[1]
    blocked = losses.false_negatives(x["in/sentence_embeddings"], config["thr"])
    terms = {
        **losses.reconstruction_terms(
            network.decoder(z_text, lengths, representation, frames),
            network.decoder(z_motion, lengths, representation, frames),
            motion,
        ),
        **losses.matching_terms(Encoded(text, z_text), Encoded(moving, z_motion), config["temp"], blocked),
    }
    total = losses.weighted_total(terms)
    unfiltered = losses.contrastive(z_text, z_motion, config["temp"])
    close(unfiltered, x["out/infonce_unfiltered"], "infonce_unfiltered")
    close(terms.pop("infonce"), x["out/infonce_filtered"], "infonce_filtered")
    for name, value in terms.items():
        close(value, x[f"out/{name}"], name)
    close(total, x["out/total"], "total")
    parameters = dict(network.named_parameters())
    for key in (key for key in x if key.startswith("out/grad/")):
        name = next(iter(deal_out({key[9:]: x[key]})))
        (gradient,) = torch.autograd.grad(total, parameters[name], retain_graph=True)
        close(gradient, x[key], key, gradient=True)


@pytest.mark.parametrize("case", cases("reward", op="cross_repr_losses"))
def test_cross_repr_losses(case: Case) -> None:
    network, x = network_of(case), case.tensors

    def encoded(name: str, t) -> Encoded:
        gaussian = network.motion(x[f"in/motion_{name}"], x["in/lengths"], REPRESENTATIONS[name], t)
        return Encoded(gaussian, gaussian.sample(x[f"in/eps_{name}"][0]))

    t, temperature = x["in/timesteps"], case.info["config"]["temp"]
    three = {REPRESENTATIONS[name]: encoded(name, t) for name in REPRESENTATIONS}
    two = {name: three[name] for name in ("kinematic", "joints")}
    untimed = {REPRESENTATIONS[name]: encoded(name, None) for name in ("263", "22x3")}
    for other, suffix in (("joints", ""), ("rotation", "_135")):
        for name, value in losses.alignment_terms(three["kinematic"], three[other], temperature).items():
            close(value, x[f"out/three/{name}{suffix}"], name + suffix)
    for name, value in losses.alignment_terms(two["kinematic"], two["joints"], temperature).items():
        close(value, x[f"out/two/{name}"], name)
    for name, batch in {"three": three, "two": two, "two_no_t": untimed}.items():
        total = losses.alignment_loss(batch, pairs="official", temperature=temperature)
        close(total, x[f"out/total_{name}"], name)


@pytest.mark.parametrize("case", cases("reward", op="noise_schedule"))
def test_noise_schedule(case: Case) -> None:
    x = case.tensors
    table = noise.alphas_cumprod(len(x["out/alphas_cumprod"]))
    close(table, x["out/alphas_cumprod"], "alphas_cumprod")
    close(noise.add_noise(x["in/x0"], x["in/eps"], x["in/timesteps"], table), x["out/xt"], "xt")
    for key in (key for key in x if key.startswith("out/probs_motionreward_maxT")):
        close(noise.official_timestep_weights(len(x[key])), x[key], key)
    close(noise.spm_timestep_weights(len(x["out/probs_spm"])), x["out/probs_spm"], "probs_spm")


def judge_of(case: Case, network: MotionRewardNetwork, kind: str, outputs: int) -> Judge:
    """The case's adapter and head; projections of other representations are not stored and stay zero updates."""
    state = case.group(f"{kind}_lora/")
    config = case.info["config"]
    judge = Judge(network.motion, outputs, adapter_rank(state), config["lora_alpha"]).eval()
    _missing, unexpected = judge.adapter.load_state_dict(adapter_state(state), strict=False)
    assert not unexpected
    judge.head.load_state_dict(case.group(f"{kind}_head/"))
    return judge


@pytest.mark.parametrize("case", cases("reward", op="critic"))
def test_critic(case: Case) -> None:
    network, x = network_of(case), case.tensors
    judge = judge_of(case, network, "critic", 1)
    representation, lengths = REPRESENTATIONS[case.info["repr"]], x["in/lengths"]
    motions = {name: x[f"in/motion_{name}"].clone().requires_grad_() for name in ("better", "worse")}
    close(network.motion(motions["better"], lengths, representation).mean, x["out/mu_base"], "mu_base")
    gaussian = judge.embed(network.motion, motions["better"], lengths, representation)
    close(gaussian.mean, x["out/mu_lora"], "mu_lora")
    close(gaussian.log_variance, x["out/logvar_lora"], "logvar_lora")
    scores = {
        name: judge(network.motion, motion, lengths, representation)[:, 0] for name, motion in motions.items()
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
        gaussian = judge.embed(network.motion, motion, window, representation)
        full.append(judge.head(gaussian.mean)[:, 0])
        decoded = network.decoder(gaussian.mean, window, representation, motion.shape[1])
        auxiliary = (
            auxiliary + F.smooth_l1_loss(decoded, motion) + 1e-5 * divergence(gaussian, gaussian.prior())
        )
    close(torch.stack(full, dim=1), x["out/critic_full_window"], "critic_full_window")
    close(auxiliary, x["out/aux_loss_full_window"], "aux_loss_full_window")


@pytest.mark.parametrize("case", cases("reward", op="ai_detection"))
def test_ai_detection(case: Case) -> None:
    network, x = network_of(case), case.tensors
    judge = judge_of(case, network, "ai_detection", 2)
    motion = x["in/motion"].clone().requires_grad_()
    representation = REPRESENTATIONS[case.info["repr"]]
    gaussian = judge.embed(network.motion, motion, x["in/lengths"], representation)
    close(gaussian.mean, x["out/mu"], "mu")
    close(gaussian.log_variance, x["out/logvar"], "logvar")
    logits = judge(network.motion, motion, x["in/lengths"], representation)
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
    judges = {
        "preference": judge_of(case, network, "critic", 1),
        "authenticity": judge_of(case, network, "ai_detection", 2),
    }
    names = ("preference", "semantic", "similarity", "authenticity")
    reward = MotionReward(
        network,
        {name: Statistics(torch.zeros(1), torch.ones(1))},
        GivenStates(tokens, length_mask(x["in/text_lengths"], tokens.shape[1])),
        dict(zip(names, x["in/lambda"].tolist(), strict=True)),
        name,
        judges,
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


@pytest.mark.parametrize("case", cases("reward", op="spl"))
def test_spl(case: Case) -> None:
    x, info = case.tensors, case.info
    text, motion = (x[f"in/{name}_latents"].clone().requires_grad_() for name in ("text", "motion"))
    close(spl.cosines(text, motion), x["out/similarity"], "similarity")
    loss = spl.official_loss(text, motion, info["k"], info["temperature"], info["high_similarity"])
    close(loss, x["out/official_loss"], "official_loss")
    gradients = torch.autograd.grad(loss, (text, motion))
    close(gradients[0], x["out/official_grad_text"], "official_grad_text", gradient=True)
    close(gradients[1], x["out/official_grad_motion"], "official_grad_motion", gradient=True)
    for key in (key for key in x if key.startswith("out/paper_loss_k")):
        k = int(key.removeprefix("out/paper_loss_k"))
        close(spl.paper_loss(text, motion, k), x[key], key)


@pytest.mark.parametrize("case", cases("reward", op="spm"))
def test_spm(case: Case) -> None:
    x, info = case.tensors, case.info
    state = case.group("state/")
    size = spm_size(state, info["heads"], info["mode"])
    network = MotionRewardNetwork(size).eval()
    name = size.representations[0]
    network.load_state_dict(spm_state(state, name))
    motion, lengths, tokens, t = x["in/motion"], x["in/lengths"], x["in/token_embeddings"], x["in/timesteps"]
    mask = length_mask(x["in/text_lengths"], tokens.shape[1])
    still, timed = network.motion(motion, lengths, name), network.motion(motion, lengths, name, t)
    text, text_timed = network.text(tokens, mask), network.text(tokens, mask, t)
    close(still.mean, x["out/mu_no_t"], "mu_no_t")
    close(still.log_variance, x["out/logvar_no_t"], "logvar_no_t")
    close(timed.mean, x["out/mu_t"], "mu_t")
    close(text.mean, x["out/text_mu_no_t"], "text_mu_no_t")
    close(text_timed.mean, x["out/text_mu_t"], "text_mu_t")
    close(F.cosine_similarity(text.mean, still.mean), x["out/cos_no_t"], "cos_no_t")
    close(F.cosine_similarity(text.mean, timed.mean), x["out/cos_motion_t"], "cos_motion_t")
    frames = motion.shape[1]
    close(network.decoder(still.mean, lengths, name, frames), x["out/decoded_from_mu"], "decoded_from_mu")
    by_motion = timed if info["mode"][1] == "1" else still
    by_text = text_timed if info["mode"][3] == "1" else text
    z_text, z_motion = by_text.sample(x["in/eps_text"][0]), by_motion.sample(x["in/eps_motion"][0])
    terms = {
        **losses.reconstruction_terms(
            network.decoder(z_text, lengths, name, frames),
            network.decoder(z_motion, lengths, name, frames),
            motion,
        ),
        **losses.matching_terms(
            Encoded(by_text, z_text),
            Encoded(by_motion, z_motion),
            info["temp"],
            losses.false_negatives(x["in/sentence_embeddings"], info["thr"]),
        ),
    }
    if info["variant"] == "easytune":
        del terms["rec_cross"]
    close(losses.weighted_total(terms), x["out/loss_total"], "loss_total")


@pytest.mark.parametrize("case", cases("reward", op="tmr"))
def test_tmr(case: Case) -> None:
    x, config = case.tensors, case.info["config"]
    network = TMRNetwork(
        config["nfeats"],
        config["text_nfeats"],
        config["latent"],
        config["ff"],
        config["layers"],
        config["heads"],
    ).eval()
    network.load_state_dict(case.group("state/"))
    motion, lengths, tokens = (
        x["in/motion"].clone().requires_grad_(),
        x["in/lengths"],
        x["in/token_embeddings"],
    )
    frames = motion.shape[1]
    moving = network.motion_encoder(motion, length_mask(lengths, frames))
    text = network.text_encoder(tokens, length_mask(x["in/text_lengths"], tokens.shape[1]))
    close(moving.mean, x["out/motion_mu"], "motion_mu")
    close(moving.log_variance, x["out/motion_logvar"], "motion_logvar")
    close(text.mean, x["out/text_mu"], "text_mu")
    close(text.log_variance, x["out/text_logvar"], "text_logvar")
    close(network.motion_decoder(moving.mean, lengths, frames), x["out/decoded"], "decoded")
    close(spl.cosines(text.mean, moving.mean), x["out/similarity"], "similarity")
    score = tmr_score(text.mean, moving.mean)
    close(score, x["out/score"], "score")
    (gradient,) = torch.autograd.grad(score.diagonal().sum(), motion, retain_graph=True)
    close(gradient, x["out/grad_motion_of_diag_score_sum"], "gradient", gradient=True)
    terms = losses.reconstruction_terms(
        network.motion_decoder(text.mean, lengths, frames),
        network.motion_decoder(moving.mean, lengths, frames),
        motion,
    )
    del terms["rec_cross"]
    blocked = losses.false_negatives(x["in/sentence_embeddings"], config["threshold"])
    terms |= losses.matching_terms(
        Encoded(text, text.mean), Encoded(moving, moving.mean), config["temperature"], blocked
    )
    close(terms["rec_text"] + terms["rec_motion"], x["out/loss/recons"], "recons")
    close(sum(value for name, value in terms.items() if name.startswith("kl_")), x["out/loss/kl"], "kl")
    close(terms["latent"], x["out/loss/latent"], "latent")
    close(terms["infonce"], x["out/loss/contrastive"], "contrastive")
    close(losses.weighted_total(terms), x["out/loss/loss"], "loss")
    similarity, sentences = x["out/similarity"], x["in/sentence_embeddings"]
    metrics = {"normal": tmr_all(similarity), "threshold": tmr_threshold(similarity, sentences)}
    for protocol, found in metrics.items():
        for name, value in found.items():
            expected = x[f"out/metrics_{protocol}/{name}"].item()
            assert abs(value.item() - expected) < 6e-3, f"{protocol} {name}: {value} against {expected}"


@pytest.mark.parametrize("case", cases("reward", op="motioncritic"))
def test_motioncritic(case: Case) -> None:
    x, info = case.tensors, case.info
    state = case.group("state/")
    backbone = DualStream(
        info["dim_feat"],
        info["dim_rep"],
        info["depth"],
        info["num_heads"],
        info["mlp_ratio"],
        info["maxlen"],
        x["in/motion_a"].shape[2],
    )
    network = MotionCriticNetwork(backbone, state["mlp.fc1.weight"].shape[0]).eval()
    network.load_state_dict(state)
    motion = x["in/motion_a"].clone().requires_grad_()
    scores = network(motion)
    close(network.dstran(motion), x["out/representation_a"], "representation_a")
    close(scores, x["out/score_a"], "score_a")
    close(torch.stack((scores, network(x["in/motion_b"])), dim=1), x["out/pair"], "pair")
    close(clipped_mean(scores)[None], x["out/clipped_mean_a"], "clipped_mean_a")
    close(clipped_mean(scores[:1])[None], x["out/clipped_single_a0"], "clipped_single_a0")
    (gradient,) = torch.autograd.grad(scores.sum(), motion)
    close(gradient, x["out/grad_motion_of_score_sum"], "gradient", gradient=True)
