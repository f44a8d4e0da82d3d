"""Parity with MotionReward's published towers and decoder, case by case; sizes and tensors come from each file."""

import pytest
import torch
import torch.nn.functional as F

from motionrft.lengths import length_mask
from motionrft.transformer import timestep_features
from tests.parity.golden import Case, cases
from tests.parity.rewards import REPRESENTATIONS, close, network_of


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
