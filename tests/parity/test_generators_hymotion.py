"""HY-Motion against the golden data: the network, its gradient, Euler with guidance, the 201 features."""

from typing import Any

import pytest
import torch
from torch import Tensor

from motionrft.generators import Condition
from motionrft.generators.hymotion import HyMotion, HyMotionConfig
from motionrft.representations.hymotion import smooth_rotation
from motionrft.representations.rotation import rotation_matrices, rotation_to_joints
from motionrft.rotations import matrix_to_sixd
from motionrft.text.base import TextFeatures
from motionrft.training.weights import load_state
from tests.parity.golden import Case, assert_trajectory, cases

VALUE = {"rtol": 0, "atol": 2e-5}
FPS = 30


def network_arguments(config: dict[str, Any], frames: int) -> dict[str, Any]:
    """The published constructor's arguments as ours. Text positions begin behind the case's padded frames."""
    assert config["mask_mode"] in ("narrowband", None)
    return {
        "features": config["input_dim"],
        "width": config["feat_dim"],
        "layers": config["num_layers"],
        "heads": config["num_heads"],
        "ratio": config["mlp_ratio"],
        "token_width": config["ctxt_input_dim"],
        "sentence_width": config["vtxt_input_dim"],
        "band": round(config["narrowband_length"] * FPS) if config["mask_mode"] else None,
        "train_frames": frames,
        "time_factor": config["time_factor"],
        "rotate_text": not config["apply_rope_to_single_branch"],
    }


def generator_of(case: Case, frames: int) -> HyMotion:
    arguments = network_arguments(case.info["config"], frames)
    generator = HyMotion(
        HyMotionConfig(arguments, case.info.get("enable_ctxt_null_feat", True), representation="hymotion")
    )
    load_state(generator.denoiser, case.group("state_dict."), str(case))
    return generator.eval()


def text_of(case: Case) -> TextFeatures:
    return TextFeatures(case["ctxt"], case["mask_ctxt"], case["vtxt"][:, 0])


def valid(x: Tensor, mask: Tensor) -> Tensor:
    """Rows past a motion's length are meaningless, in the published code as in ours."""
    return x * mask[..., None]


@pytest.mark.parametrize("case", cases("generators", op="HunyuanMotionMMDiT"))
def test_hymotion_network(case: Case) -> None:
    mask = case["mask_x"]
    network = generator_of(case, case["x"].shape[1]).denoiser
    x = case["x"].requires_grad_()
    velocity = network(x, case["t"], text_of(case), mask)
    torch.testing.assert_close(valid(velocity, mask), valid(case["velocity"], mask), **VALUE)
    (velocity * case["grad_weight"] * mask[..., None]).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, case["grad_x"], **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="HunyuanMotionMMDiT"))
def test_padding_can_be_cut_where_text_keeps_its_positions(case: Case) -> None:
    network = generator_of(case, case["x"].shape[1]).denoiser
    for item in range(len(case["x"])):
        frames, words = int(case["mask_x"][item].sum()), int(case["mask_ctxt"][item].sum())
        one = slice(item, item + 1)
        text = TextFeatures(case["ctxt"][one, :words], case["mask_ctxt"][one, :words], case["vtxt"][one, 0])
        velocity = network(case["x"][one, :frames], case["t"][one], text, case["mask_x"][one, :frames])
        torch.testing.assert_close(velocity[0], case["velocity"][item, :frames], **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="MMDiT + Euler"))
def test_hymotion_euler_trajectory(case: Case) -> None:
    generator, mask = generator_of(case, case["x0"].shape[1]), case["mask_x"]
    generator.mean.copy_(case["mean"][0])
    generator.std.copy_(case["std"][0])
    one = torch.ones(1, 1, dtype=torch.bool)
    null = TextFeatures(case["null_ctxt_input"], one, case["null_vtxt_feat"][:, 0])
    condition, lengths = Condition(text_of(case), null), mask.sum(1)
    process = generator.process(case.info["num_steps"])
    torch.testing.assert_close(process.timesteps, case["t"][:-1])
    x = case["trajectory"][0]
    for i in range(process.steps):
        velocity = generator.predict(x, process.timesteps[i], condition, lengths, case.info["guidance_scale"])
        step = process.step(velocity, x, i)
        assert_trajectory(valid(velocity, mask), valid(case["velocity"][i], mask))
        assert_trajectory(valid(step.sample, mask), valid(case["trajectory"][i + 1], mask))
        x = step.sample
    motion = generator.decode(x, lengths, x.shape[1])
    assert_trajectory(motion, valid(case["denormalised"], mask))


@pytest.mark.parametrize("case", cases("generators", op="decode of the 201-wide motion"))
def test_the_201_features(case: Case) -> None:
    features = case["latent_denorm"]
    rotation = features[..., :135]
    torch.testing.assert_close(rotation[..., :3], case["translation"], **VALUE)
    torch.testing.assert_close(rotation_matrices(rotation), case["rotation_matrix"], **VALUE)
    back = matrix_to_sixd(case["rotation_matrix"], "interleaved")
    torch.testing.assert_close(back, case["rot6d_back"], **VALUE)
    still = torch.cat([torch.zeros_like(rotation[..., :3]), rotation[..., 3:]], dim=-1)
    joints = rotation_to_joints(still, case["rest_joints"])
    torch.testing.assert_close(joints, case["joints_without_translation"], **VALUE)
    smooth = torch.stack([smooth_rotation(motion) for motion in rotation])
    torch.testing.assert_close(smooth[..., :3], case["translation_smoothed"], **VALUE)
    torch.testing.assert_close(smooth[..., 3:].unflatten(-1, (22, 6)), case["rot6d_smoothed"], **VALUE)
