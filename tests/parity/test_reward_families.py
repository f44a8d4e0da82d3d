"""Parity with the other published rewards: SPM, TMR and MotionCritic, case by case."""

import pytest
import torch
import torch.nn.functional as F

from motionrft.evaluation.metrics.retrieval import tmr_all, tmr_threshold
from motionrft.lengths import length_mask
from motionrft.official.spm import spm_size, spm_state
from motionrft.reward.motioncritic import MotionCriticNetwork, MotionCriticSize
from motionrft.reward.motionreward import losses
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.losses import Encoded
from motionrft.reward.spl import objective as spl
from motionrft.reward.tmr import TMRNetwork, TMRSize
from tests.parity.formulas import clipped_mean, tmr_score
from tests.parity.golden import Case, cases
from tests.parity.rewards import close


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
    names = ("nfeats", "text_nfeats", "latent", "ff", "layers", "heads")
    network = TMRNetwork(TMRSize(*(config[name] for name in names))).eval()
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
    size = MotionCriticSize(
        info["dim_feat"],
        info["dim_rep"],
        info["depth"],
        info["num_heads"],
        int(info["dim_feat"] * info["mlp_ratio"]),
        info["maxlen"],
        x["in/motion_a"].shape[2],
        state["mlp.fc1.weight"].shape[0],
    )
    network = MotionCriticNetwork(size).eval()
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
