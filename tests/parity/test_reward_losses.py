"""Parity with the published losses of stage 1, its noise, and SPL, case by case."""

import pytest
import torch

from motionrft.lengths import length_mask
from motionrft.official.motionreward import deal_out
from motionrft.reward.motionreward import losses, noise
from motionrft.reward.motionreward.losses import Encoded
from motionrft.reward.spl import objective as spl
from tests.parity.formulas import spm_timestep_weights
from tests.parity.golden import Case, cases
from tests.parity.rewards import REPRESENTATIONS, close, network_of


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
    close(spm_timestep_weights(len(x["out/probs_spm"])), x["out/probs_spm"], "probs_spm")


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
