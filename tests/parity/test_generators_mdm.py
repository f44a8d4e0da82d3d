"""MDM against the golden data: encoder and decoder, CLIP and BERT, masks, guidance, ancestral trajectories."""

from typing import Any

import pytest
import torch
from torch import Tensor

from motionrft.generators import Condition
from motionrft.generators.mdm import Mdm, MdmConfig
from motionrft.text.base import TextFeatures
from motionrft.training.weights import load_state
from tests.parity.golden import Case, assert_trajectory, cases

VALUE = {"rtol": 0, "atol": 2e-5}


def denoiser_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """The published constructor's arguments as ours."""
    assert config["activation"] == "gelu"
    return {
        "features": config["njoints"] * config["nfeats"],
        "width": config["latent_dim"],
        "layers": config["num_layers"],
        "heads": config["num_heads"],
        "feedforward": config["ff_size"],
        "text_width": config["clip_dim"],
        "architecture": {"trans_enc": "encoder", "trans_dec": "decoder"}[config["arch"]],
        "time_in_sequence": config["emb_trans_dec"],
        "mask_frames": config["mask_frames"],
        "positions": config["pos_embed_max_len"],
    }


def small_variance(info: dict[str, Any]) -> bool:
    """Which of the two published variances of an ancestral step a case was made with."""
    return {"fixed small": True, "fixed large": False}[info.get("variance", "fixed small")]


def generator_of(case: Case) -> Mdm:
    info = case.info
    generator = Mdm(
        MdmConfig(
            denoiser_arguments(info["config"]),
            train_times=info.get("num_steps", 1000),
            small_variance=small_variance(info),
        )
    ).eval()
    weights = {name: value for name, value in case.group("state_dict.").items() if not name.endswith(".pe")}
    load_state(generator.denoiser, weights, str(case))
    return generator


def condition_of(case: Case) -> Condition:
    """Text features are stored (L, B, D), padding True where there is no token."""
    tokens = case["text_feature"].transpose(0, 1)
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    if "mask_text_padding" in case:
        mask = ~case["mask_text_padding"]
    text = TextFeatures(tokens, mask)
    return Condition(text, text)


def frames_of(published: Tensor) -> Tensor:
    """(..., F, 1, T) to (..., T, F)."""
    return published.squeeze(-2).transpose(-1, -2)


@pytest.mark.parametrize("case", cases("generators", op="MDM"))
def test_mdm(case: Case) -> None:
    generator, condition = generator_of(case), condition_of(case)
    for name in ("sequence_pos_encoder.pe", "embed_timestep.sequence_pos_encoder.pe"):
        table = case[f"state_dict.{name}"][:, 0]
        torch.testing.assert_close(generator.denoiser.table, table, **VALUE)
    x = frames_of(case["x"]).requires_grad_()
    x0 = generator.predict(x, case["t"], condition, case["lengths"], 1.0)
    torch.testing.assert_close(x0, frames_of(case["x0"]), **VALUE)
    (x0 * frames_of(case["grad_weight"])).sum().backward()
    torch.testing.assert_close(x.grad, frames_of(case["grad_x"]), **VALUE)
    null = generator.predict(x, case["t"], condition, case["lengths"], 0.0)
    torch.testing.assert_close(null, frames_of(case["x0_null"]), **VALUE)
    guided = generator.predict(x, case["t"], condition, case["lengths"], case.info["guidance_scale"])
    torch.testing.assert_close(guided, frames_of(case["x0_cfg"]), **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="MDM + ancestral sampling"))
def test_mdm_ancestral_trajectory(case: Case) -> None:
    generator, condition = generator_of(case), condition_of(case)
    process = generator.process()
    torch.testing.assert_close(generator.schedule.alpha_bar, case["alphas_cumprod"], rtol=1e-12, atol=0)
    x = frames_of(case["x_T"])
    for i in range(process.steps):
        x0 = generator.predict(
            x, process.timesteps[i], condition, case["lengths"], case.info["guidance_scale"]
        )
        step = process.step(x0, x, i, frames_of(case["noise"][i]))
        if "mean" in case:
            assert_trajectory(step.mean, frames_of(case["mean"][i]))
        if process.stochastic[i]:
            log_variance = 2 * step.std.log()
            torch.testing.assert_close(
                log_variance, case["posterior_log_variance"][i, 0], rtol=1e-5, atol=1e-5
            )
        assert_trajectory(step.sample, frames_of(case["samples"][i + 1]))
        x = step.sample
