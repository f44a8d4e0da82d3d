"""Kimodo against its published code: the network and its gradients, three guidances, schedule, trajectories, decoding."""

from typing import Any

import pytest
import torch
from torch import Tensor

from motionrft.diffusion.ddim import ddim
from motionrft.diffusion.schedule import cosine, visited_times
from motionrft.errors import UserError
from motionrft.generators.base import Condition
from motionrft.generators.constraints import Constraints
from motionrft.generators.kimodo import Kimodo, KimodoConfig
from motionrft.lengths import zero_padding
from motionrft.linear import torch_products
from motionrft.representations.kimodo import features as kimodo
from motionrft.representations.kimodo.features import KimodoFeatures
from motionrft.text.base import TextFeatures
from motionrft.training.weights import load_state
from tests.parity.golden import Case, assert_trajectory, cases
from tests.parity.test_kimodo_features import close, statistics_of

FOLDER = "kimodo"
VALUE = 5e-5


def denoiser_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """The published constructor's arguments as ours."""
    assert config["activation"] == "gelu" and not config["norm_first"] and not config["use_text_mask"]
    assert config["input_first_heading_angle"] and config["motion_mask_mode"] == "concat"
    return {
        "joints": config["nbjoints"],
        "width": config["latent_dim"],
        "layers": config["num_layers"],
        "heads": config["num_heads"],
        "feedforward": config["ff_size"],
        "text_width": config["llm_shape"][-1],
        "text_tokens": config["num_text_tokens_override"],
        "dropout": config["dropout"],
    }


def generator_of(case: Case, passes: str = "separated", constraint_guidance: float = 2.0) -> Kimodo:
    config = KimodoConfig(
        denoiser_arguments(case.info["config"]),
        passes=passes,  # type: ignore[arg-type]
        constraint_guidance=constraint_guidance,
    )
    generator = Kimodo(config)
    load_state(generator.denoiser, case.group("state_dict.denoiser.backbone."), str(case))
    given = statistics_of(case.group("stats."))
    generator.mean.copy_(given.whole.mean)
    generator.std.copy_(given.whole.std)
    generator.local_mean.copy_(given.local.mean)
    generator.local_std.copy_(given.local.std)
    if "rest_joints" in case:
        generator.rest_joints.copy_(case["rest_joints"])
    return generator.eval()


def condition_of(case: Case, constrained: bool, text: Tensor | None = None) -> Condition:
    tokens = case["text_feat"] if text is None else text
    visible = torch.ones(tokens.shape[:2], dtype=torch.bool)
    null = TextFeatures(torch.zeros_like(tokens[:1]), visible[:1])
    values = (case["observed_motion"], case["motion_mask"]) if constrained else (None, None)
    return Condition(TextFeatures(tokens, visible), null, Constraints(case["first_heading_angle"], *values))


def valid(case: Case, x: Tensor) -> Tensor:
    """Rows past a motion's length are meaningless, in the published code as in ours."""
    return x[case["mask_frames"]]


@pytest.mark.parametrize("case", cases(FOLDER, op="TwostageDenoiser"))
@pytest.mark.parametrize("bridge", ["open", "cut"])
def test_the_network_and_its_gradients(case: Case, bridge: str) -> None:
    generator = generator_of(case)
    generator.denoiser.train(bridge == "cut")  # dropout is 0 in the case
    x, text = case["x"].clone().requires_grad_(), case["text_feat"].clone().requires_grad_()
    found = generator.predict(
        x, case["timesteps"], condition_of(case, False, text), case["lengths"], guidance=1
    )
    close(valid(case, found), valid(case, case["pred_text"]), VALUE)
    (found * case["grad_weight"]).sum().backward()
    gradient = case["grad_x" if bridge == "open" else "grad_x_bridge_cut"]
    assert x.grad is not None and text.grad is not None
    close(x.grad, gradient, 1e-5 * float(gradient.abs().max()))
    if bridge == "cut":
        return
    close(text.grad, case["grad_text_feat"], 1e-5 * float(case["grad_text_feat"].abs().max()))
    named = dict(generator.denoiser.named_parameters())
    for name, expected in case.group("grad_param.").items():
        found_gradient = named[name].grad
        assert found_gradient is not None
        close(found_gradient, expected, 1e-5 * float(expected.abs().max()))
    norms = torch.stack([p.grad.norm() for p in named.values() if p.grad is not None])
    torch.testing.assert_close(norms.norm(), case["grad_param_norm"], rtol=1e-5, atol=0)


@pytest.mark.parametrize("case", cases(FOLDER, op="TwostageDenoiser"))
def test_passes_and_what_guidance_makes_of_them(case: Case) -> None:
    empty = torch.zeros_like(case["text_feat"])
    weights = case.info["guidance_text"], case.info["guidance_constraint"]
    wanted = {
        "pred_null": ("separated", condition_of(case, False, empty), 1.0),
        "pred_constraint": ("separated", condition_of(case, True, empty), 1.0),
        "pred_text_constraint": ("nocfg", condition_of(case, True), 1.0),
        "guided_regular": ("regular", condition_of(case, True), weights[0]),
        "guided_separated": ("separated", condition_of(case, True), weights[0]),
        "guided_separated_no_constraint": ("separated", condition_of(case, False), weights[0]),
    }
    for name, (passes, condition, scale) in wanted.items():
        generator = generator_of(case, passes, weights[1])
        with torch.no_grad():
            found = generator.predict(case["x"], case["timesteps"], condition, case["lengths"], scale)
        close(valid(case, found), valid(case, case[name]), VALUE)


@pytest.mark.parametrize("case", cases(FOLDER, op="TwostageDenoiser"))
def test_padding_does_not_change_an_item(case: Case) -> None:
    generator, frames = generator_of(case), int(case["lengths"][-1])
    condition = condition_of(case, False).index(torch.tensor([-1]))
    with torch.no_grad():
        found = generator.predict(
            case["x"][-1:, :frames], case["timesteps"][-1:], condition, case["lengths"][-1:], guidance=1
        )
    close(found, case["pred_text_alone_last"][:, :frames], VALUE)


@pytest.mark.parametrize("case", cases(FOLDER, op="TwostageDenoiser"))
def test_the_bridge_between_the_stages(case: Case) -> None:
    generator = generator_of(case)
    found = generator.statistics.local_root_of(case["pred_text"][..., :5], case["lengths"])
    close(valid(case, found), valid(case, case["local_root"]), 1e-4)


@pytest.mark.parametrize("case", cases(FOLDER, op="kimodo_schedule"))
def test_schedule_and_one_step(case: Case) -> None:
    schedule = cosine(case.info["num_base_steps"])
    close(schedule.alpha_bar, case["out/alphas_cumprod"], 1e-6)
    betas = 1 - schedule.alpha_bar / torch.cat((torch.ones(1).double(), schedule.alpha_bar[:-1]))
    close(betas, case["out/betas"], 1e-6)
    close(schedule.add_noise(case["in/x0"], case["in/noise"], case["in/t"]), case["out/noised"], 1e-5)
    for steps in case.info["counts"]:
        times = visited_times(schedule.times, steps, "linspace")
        assert torch.equal(times.flip(0), case[f"out/timesteps_{steps}"])
        if steps == 1:
            continue
        process = ddim(schedule, "x0", steps, spacing="linspace", offset=0, land_on_clean=True)
        close(schedule.alpha_bar[times].flip(0), case[f"out/alphas_cumprod_{steps}"], 1e-6)
        x, predicted = case[f"in/x_{steps}"], case[f"in/pred_{steps}"]
        for row, place in enumerate(case[f"in/index_{steps}"].tolist()):
            found = process.step(predicted[row], x[row], steps - 1 - place).sample
            close(found, case[f"out/next_{steps}"][row], 1e-4)


@pytest.mark.parametrize("case", cases(FOLDER, op="Kimodo + DDIM"))
def test_trajectories_and_the_motion_at_their_end(case: Case) -> None:
    scales = case.info["guidance_scale"]
    scales = scales if isinstance(scales, list) else [scales]
    passes = case.info["cfg_type"]
    text_scale, constraint_scale = (1.0, 1.0) if passes == "nocfg" else (scales[0], scales[-1])
    generator = generator_of(case, passes, constraint_scale)
    condition, lengths = condition_of(case, "motion_mask" in case), case["lengths"]
    sampling = generator.sampling(steps=case.info["num_steps"], guidance=text_scale)
    process = generator.process_with(sampling)
    assert torch.equal(process.timesteps, case["timesteps"])
    x = case["trajectory"][0]
    with torch.no_grad(), torch_products():
        for i in range(process.steps):
            x0 = generator.predict(x, process.timesteps[i], condition, lengths, text_scale)
            x = process.step(x0, x, i).sample
            assert_trajectory(valid(case, x0), valid(case, case["x0"][i]))
            assert_trajectory(valid(case, x), valid(case, case["trajectory"][i + 1]))
    whole = zero_padding(generator.statistics.denormalise(case["trajectory"][-1]), lengths)
    features = KimodoFeatures(whole)
    close(valid(case, whole), valid(case, case["features"]), 2e-5)
    world = features.rotations
    skeleton, rest = generator.skeleton, case["rest_joints"]
    found = {
        "global_rot_mats": world,
        "local_rot_mats": kimodo.local_rotations(world, skeleton.parents),
        "posed_joints": kimodo.forward_kinematics(world, features.root, skeleton, rest),
        "root_positions": features.root,
        "smooth_root_pos": features.smooth_root,
        "global_root_heading": features.heading,
    }
    for name, value in found.items():
        close(valid(case, value), valid(case, case[f"decoded.{name}"]), 1e-5)
    assert torch.equal(valid(case, features.contacts), valid(case, case["decoded.foot_contacts"]))


def test_one_step_of_ddim_and_one_frame_are_refused() -> None:
    generator = Kimodo(KimodoConfig({"joints": 22, "width": 8, "layers": 1, "heads": 1, "feedforward": 8}))
    with pytest.raises(UserError, match="one step"):
        generator.process(1)
    null = TextFeatures(torch.zeros(1, 1, 4096), torch.ones(1, 1, dtype=torch.bool))
    with pytest.raises(UserError, match="1 frame"):
        generator.predict(torch.zeros(1, 1, 273), torch.tensor(5), Condition(null), torch.tensor([1]), 1.0)
