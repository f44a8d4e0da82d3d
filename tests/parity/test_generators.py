"""MLD, MLD++ and MotionLCM against the golden data: values, gradients, trajectories."""

from typing import Any

import pytest
import torch
from torch import Tensor

from motionrft.diffusion.lcm import lcm_times
from motionrft.generators import Condition
from motionrft.generators.mld import Mld, MldConfig
from motionrft.generators.mld_denoiser import MldDenoiser, guidance_embedding
from motionrft.generators.mld_vae import MldVae
from motionrft.text.base import TextFeatures
from motionrft.training.weights import load_state
from tests.parity.golden import Case, assert_trajectory, cases

VALUE = {"rtol": 0, "atol": 2e-5}
GUIDANCE = {"rtol": 0, "atol": 1e-4}


def text_of(vectors: Tensor) -> TextFeatures:
    return TextFeatures(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))


def stack_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """The published options that ours has; those that ours refuses must have their released value."""
    assert not config["normalize_before"]
    assert config["activation"] == "gelu"
    assert config["position_embedding"] == "learned"
    return {"layers": config["num_layers"], "heads": config["num_heads"], "feedforward": config["ff_size"]}


def denoiser_arguments(config: dict[str, Any]) -> dict[str, Any]:
    assert config["arch"] == "trans_enc"
    assert config["flip_sin_to_cos"]
    return stack_arguments(config) | {
        "latent_width": config["latent_dim"][-1],
        "hidden": config["hidden_dim"] or config["latent_dim"][-1],
        "project": config["force_pre_post_proj"],
        "text_width": config["text_dim"],
        "time_width": config["time_dim"],
        "text_path": config["text_act_fn"] or "linear",
        "guidance_width": config["time_cond_proj_dim"],
    }


def vae_arguments(config: dict[str, Any]) -> dict[str, Any]:
    assert config["arch"] == "encoder_decoder"
    tokens, width = config["latent_dim"]
    return stack_arguments(config) | {
        "features": config["nfeats"],
        "tokens": tokens,
        "hidden": config["hidden_dim"] or width,
        "width": width if config["force_pre_post_proj"] else None,
    }


def generator_of(case: Case) -> Mld:
    """The whole generator, statistics 0 and 1, with the case's weights."""
    consistency = "original_inference_steps" in case.info["scheduler"]
    config = MldConfig(
        autoencoder={"kind": "transformer"} | vae_arguments(case.info["vae_config"]),
        denoiser=denoiser_arguments(case.info["config"]),
        sampler="lcm" if consistency else "ddim",
        lcm_times=lcm_variant(case) if consistency else "fixed",
    )
    generator = Mld(config)
    statistics = {name: value for name, value in generator.state_dict().items() if "." not in name}
    load_state(generator, case.group("state_dict.") | statistics, str(case))
    return generator.eval()


def lcm_variant(case: Case) -> str:
    """v2 stores its table of times; v1 was published with either of two rules: the case's own times tell."""
    if case.info["scheduler"].get("timesteps_step_map"):
        return "fixed"
    spread = lcm_times(1000, case.info["num_steps"], "spread")
    return "spread" if torch.equal(spread, case["timesteps"]) else "skipped"


@pytest.mark.parametrize("case", cases("generators", op="MldDenoiser"))
def test_mld_denoiser(case: Case) -> None:
    network = MldDenoiser(**denoiser_arguments(case.info["config"])).eval()
    load_state(network, case.group("state_dict."))
    sample = case["sample"].requires_grad_()
    scale = case["guidance_w"] + 1 if "guidance_w" in case else None
    prediction = network(sample, case["timestep"], text_of(case["text_emb"]), guidance=scale)
    torch.testing.assert_close(prediction, case["pred_text"], **VALUE)
    (prediction * case["grad_weight"]).sum().backward()
    torch.testing.assert_close(sample.grad, case["grad_sample"], **VALUE)
    norm = torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm()
    torch.testing.assert_close(norm, case["grad_param_norm"], rtol=1e-4, atol=0)
    if scale is not None:
        embedding = guidance_embedding(scale, case["guidance_embedding"].shape[1])
        torch.testing.assert_close(embedding, case["guidance_embedding"], **GUIDANCE)
    if "pred_null" in case:
        null = network(sample, case["timestep"], text_of(case["null_text_emb"]))
        torch.testing.assert_close(null, case["pred_null"], **VALUE)


@pytest.mark.parametrize(
    "case", cases("generators", op="MldDenoiser", where=lambda i: "pred_cfg_t541" in i["shapes"])
)
def test_mld_guidance_in_one_batch(case: Case) -> None:
    config = MldConfig(
        autoencoder={
            "kind": "transformer",
            "hidden": 32,
            "layers": 1,
            "width": case.info["config"]["latent_dim"][-1],
        },
        denoiser=denoiser_arguments(case.info["config"]),
    )
    generator = Mld(config).eval()
    load_state(generator.denoiser, case.group("state_dict."))
    condition = Condition(text_of(case["text_emb"]), text_of(case["null_text_emb"][:1]))
    guided = generator.predict(
        case["sample"], torch.tensor(541), condition, torch.full((3,), 40), case.info["guidance_scale"]
    )
    if torch.equal(case["null_text_emb"], case["null_text_emb"][:1].expand_as(case["null_text_emb"])):
        torch.testing.assert_close(guided, case["pred_cfg_t541"], **VALUE)
    else:
        torch.testing.assert_close(guided[:1], case["pred_cfg_t541"][:1], **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="MldVae"))
def test_mld_vae(case: Case) -> None:
    vae = MldVae(**vae_arguments(case.info["config"])).eval()
    load_state(vae, case.group("state_dict."))
    mean, log_variance = vae.encode(case["features"], case["lengths"])
    torch.testing.assert_close(mean, case["mu"], **VALUE)
    torch.testing.assert_close((0.5 * log_variance).exp(), case["std"], **VALUE)
    torch.testing.assert_close(vae.decode(case["mu"], case["lengths"]), case["decoded_mu"], **VALUE)
    latent = case["latent"].requires_grad_()
    decoded = vae.decode(latent, case["lengths"])
    torch.testing.assert_close(decoded, case["decoded_latent"], **VALUE)
    (decoded * case["grad_weight"]).sum().backward()
    torch.testing.assert_close(latent.grad, case["grad_latent"], rtol=1e-5, atol=2e-5)
    item = (case["lengths"] == case["decoded_alone"].shape[1]).nonzero()[:1, 0]
    alone = vae.decode(case["latent"][item], case["lengths"][item])
    torch.testing.assert_close(alone, case["decoded_alone"], **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="MldDenoiser + DDIM + MldVae"))
def test_mld_ddim_trajectory(case: Case) -> None:
    generator = generator_of(case)
    process = generator.process(case.info["num_steps"], eta=case.info["eta"])
    torch.testing.assert_close(process.timesteps, case["timesteps"])
    torch.testing.assert_close(
        generator.schedule.alpha_bar.float(), case["alphas_cumprod"], rtol=1e-5, atol=0
    )
    # Trajectories of the published code carry a null embedding an item; they are walked item by item.
    for item in range(len(case["text_emb"])):
        chosen = slice(item, item + 1)
        condition = Condition(text_of(case["text_emb"][chosen]), text_of(case["null_text_emb"][chosen]))
        lengths = case["lengths"][chosen]
        x = case["latents"][0, chosen]
        for i in range(process.steps):
            eps = generator.predict(x, process.timesteps[i], condition, lengths, case.info["guidance_scale"])
            noise = case["variance_noise"][i, chosen] if "variance_noise" in case else None
            step = process.step(eps, x, i, noise)
            assert_trajectory(eps, case["eps"][i, chosen])
            assert_trajectory(step.x0, case["x0"][i, chosen])
            assert_trajectory(step.sample, case["latents"][i + 1, chosen])
            x = step.sample
        frames = case["motion"].shape[1]
        assert_trajectory(generator.decode(x, lengths, frames), case["motion"][chosen])


@pytest.mark.parametrize("case", cases("generators", op="MldDenoiser + LCM sampler + MldVae"))
def test_motionlcm_trajectory(case: Case) -> None:
    generator = generator_of(case)
    process = generator.process(case.info["num_steps"])
    torch.testing.assert_close(process.timesteps, case["timesteps"])
    condition = Condition(text_of(case["text_emb"]))
    x = case["latents"][0]
    for i in range(process.steps):
        eps = generator.predict(
            x, process.timesteps[i], condition, case["lengths"], case.info["guidance_scale"]
        )
        step = process.step(eps, x, i, case["noise"][i])
        assert_trajectory(eps, case["eps"][i])
        assert_trajectory(step.sample, case["latents"][i + 1])
        x = step.sample
    assert_trajectory(generator.decode(x, case["lengths"]), case["motion"])
