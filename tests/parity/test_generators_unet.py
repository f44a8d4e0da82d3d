"""MotionDiffuse and StableMoFusion against the golden data: trained text layers, both attentions, all samplers."""

from typing import Any

import pytest
import torch

from motionrft.diffusion.ancestral import ancestral
from motionrft.diffusion.process import Process
from motionrft.generators import Condition
from motionrft.generators.motiondiffuse import MotionDiffuse, MotionDiffuseConfig
from motionrft.generators.stablemofusion import StableMoFusion, StableMoFusionConfig
from motionrft.official import motiondiffuse, stablemofusion
from motionrft.text.base import TextFeatures
from motionrft.training.weights import load_state
from tests.parity.golden import Case, cases


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 4e-5) -> None:
    """Equal within the tolerance, at the scale of the tensor.

    The U-Net's group norm divides by the deviation of a few channels of one frame: in float32 the stored gradients
    are themselves 1e-5 of their size away from those in float64, as are ours.
    """
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale)


TRAJECTORY = GRADIENT = 1e-4


def text_layers(config: dict[str, Any], clip_width: int) -> dict[str, Any]:
    return {
        "clip_width": clip_width,
        "width": config["text_latent_dim"],
        "layers": config["num_text_layers"],
        "heads": config["text_num_heads"],
        "feedforward": config["text_ff_size"],
    }


def filled(generator: Any, weights: dict[str, torch.Tensor], case: Case) -> Any:
    own = {name: value for name, value in generator.state_dict().items() if "." not in name}
    load_state(generator, own | weights, str(case))
    return generator.eval()


def motiondiffuse_of(case: Case) -> MotionDiffuse:
    config = case.info["config"]
    assert config["activation"] == "gelu"
    denoiser = {
        "features": config["input_feats"],
        "frames": config["num_frames"],
        "width": config["latent_dim"],
        "layers": config["num_layers"],
        "heads": config["num_heads"],
        "feedforward": config["ff_size"],
        "text_width": config["text_latent_dim"],
        "quadratic": config["no_eff"],
    }
    texts = text_layers(config, case["state_dict.text_pre_proj.weight"].shape[1])
    generator = MotionDiffuse(
        MotionDiffuseConfig(denoiser, texts | {"pooled_width": 4 * config["latent_dim"]})
    )
    return filled(generator, motiondiffuse.ours(case.group("state_dict.")), case)


def stablemofusion_of(case: Case) -> StableMoFusion:
    config = case.info["config"]
    assert config["adagn"] and config["dims"] is None
    denoiser = {
        "features": config["input_feats"],
        "widths": [config["base_dim"] * multiple for multiple in config["dim_mults"]],
        "time_width": config["time_dim"],
        "text_width": config["text_latent_dim"],
        "quadratic": config["no_eff"],
    }
    generator = StableMoFusion(StableMoFusionConfig(denoiser, text_layers(config, config["clip_dim"])))
    return filled(generator, stablemofusion.ours(case.group("state_dict.")), case)


def clip_of(case: Case) -> TextFeatures:
    """CLIP states, stored (L, B, D); the pooled one is that at the end-of-text token."""
    tokens = case["clip_hidden"].transpose(0, 1)
    mask = torch.ones(tokens.shape[:2], dtype=torch.bool)
    pooled = tokens[torch.arange(len(tokens)), case["eot"]] if "eot" in case else None
    return TextFeatures(tokens, mask, pooled)


def states(tokens: torch.Tensor, pooled: torch.Tensor | None = None) -> Condition:
    text = TextFeatures(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), pooled)
    return Condition(text, TextFeatures(text.tokens[:1] * 0, text.mask[:1]))


@pytest.mark.parametrize("case", cases("generators", op="MotionTransformer"))
def test_motiondiffuse(case: Case) -> None:
    generator = motiondiffuse_of(case)
    text = generator.text_layers(clip_of(case))
    assert text.pooled is not None
    close(text.tokens, case["xf_out"])
    close(text.pooled, case["xf_proj"])
    x = case["x"].requires_grad_()
    eps = generator.predict(x, case["t"], Condition(text), case["lengths"], 1.0)
    close(eps, case["eps"])
    (eps * case["grad_weight"]).sum().backward()
    close(x.grad, case["grad_x"], GRADIENT)


@pytest.mark.parametrize("case", cases("generators", op="MotionTransformer + ancestral sampling"))
def test_motiondiffuse_chain(case: Case) -> None:
    generator = motiondiffuse_of(case)
    small = {"fixed small": True, "fixed large": False}[case.info.get("variance", "fixed small")]
    process = ancestral(generator.schedule, "eps", small_variance=small)
    condition = states(case["xf_out"], case["xf_proj"])
    for part in sorted({name.split(".")[0] for name in case.info["shapes"] if name.endswith(".samples")}):
        x = case[f"{part}.samples"][0]
        for k, t in enumerate(case[f"{part}.t"]):
            i = process.steps - 1 - int(t)
            assert process.timesteps[i] == t
            eps = generator.predict(x, t, condition, case["lengths"], 1.0)
            step = process.step(eps, x, i, case[f"{part}.noise"][k])
            close(step.x0, case[f"{part}.x0"][k], TRAJECTORY)
            close(step.sample, case[f"{part}.samples"][k + 1], TRAJECTORY)
            x = step.sample


@pytest.mark.parametrize("case", cases("generators", op="T2MUnet"))
def test_stablemofusion(case: Case) -> None:
    generator = stablemofusion_of(case)
    text = generator.text_layers(clip_of(case))
    close(text.tokens, case["text"])
    lengths = torch.full((len(case["x"]),), case["x"].shape[1])
    for scale, name in ((1.0, ""), (0.0, "_null")):
        x = case["x"].clone().requires_grad_()
        x0 = generator.predict(x, case["t"], states(text.tokens.detach()), lengths, scale)
        close(x0, case[f"x0{name}"])
        (x0 * case["grad_weight"]).sum().backward()
        close(x.grad, case[f"grad_x{name}"], GRADIENT)
    guided = generator.predict(
        case["x"], case["t"], states(text.tokens), lengths, case.info["guidance_scale"]
    )
    close(guided, case["x0_cfg"])


def follow(case: Case, process: Process) -> None:
    """Walk a stored StableMoFusion trajectory: each step from the stored state, and once freely to its end.

    The group norm amplifies rounding (see `close`), so the free walk is held to a looser end.
    """
    generator = stablemofusion_of(case)
    torch.testing.assert_close(process.timesteps, case["timesteps"])
    condition, scale = states(case["text"]), case.info["guidance_scale"]
    lengths = torch.full((len(case["text"]),), case["samples"].shape[2])
    free, memory, free_memory = case["samples"][0], None, None
    for i in range(process.steps):
        noise = case["noise"][i] if "noise" in case else None
        x = case["samples"][i]
        x0 = generator.predict(x, process.timesteps[i], condition, lengths, scale)
        close(x0, case["x0"][i], TRAJECTORY)
        step = process.step(case["x0"][i], x, i, noise, memory)
        close(step.sample, case["samples"][i + 1], TRAJECTORY)
        x0 = generator.predict(free, process.timesteps[i], condition, lengths, scale)
        walked = process.step(x0, free, i, noise, free_memory)
        free, memory, free_memory = walked.sample, step.memory, walked.memory
    close(free, case["samples"][-1], 1e-3)


@pytest.mark.parametrize("case", cases("generators", op="T2MUnet + DPMSolverMultistepScheduler"))
def test_stablemofusion_dpm_trajectory(case: Case) -> None:
    kind = case.info["scheduler"].get("algorithm_type", "sde-dpmsolver++")
    sampler = {"sde-dpmsolver++": "dpm-sde", "dpmsolver++": "dpm"}[kind]
    if not case.info["scheduler"].get("use_karras_sigmas", False):
        sampler += "-linspace"
    follow(case, stablemofusion_of(case).process(case.info["num_steps"], sampler))


@pytest.mark.parametrize("case", cases("generators", op="T2MUnet + DDIMScheduler"))
def test_stablemofusion_ddim_trajectory(case: Case) -> None:
    follow(case, stablemofusion_of(case).process(case.info["num_steps"], "ddim", case.info.get("eta", 0.0)))
