"""Parity with the published reward code, case by case; sizes, options and tensors come from each file."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.official.motionreward import deal_out, size_from_config
from motionrft.reward import losses, noise
from motionrft.reward.encoder import MotionRewardNetwork
from motionrft.reward.losses import Encoded
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
