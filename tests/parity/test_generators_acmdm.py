"""ACMDM against the golden data: autoencoder, network, gradient, Euler, and the adaptive solver."""

from typing import Any

import pytest
import torch

from motionrft.diffusion.dopri5 import integrate
from motionrft.generators.acmdm_autoencoder import AcmdmAutoencoder
from motionrft.generators.acmdm_network import AcmdmNetwork
from motionrft.linear import torch_products
from motionrft.training.weights import load_state
from tests.parity.golden import Case, assert_trajectory, cases

VALUE = {"rtol": 0, "atol": 2e-5}
ADAPTIVE = {"rtol": 0, "atol": 5e-3}


def network_of(case: Case) -> AcmdmNetwork:
    config: dict[str, Any] = case.info["config"]
    assert config["diff_model"] == "Flow" and config["patch_size"] == config["stride_size"]
    network = AcmdmNetwork(
        channels=config["input_dim"],
        width=config["latent_dim"],
        layers=config["num_layers"],
        heads=config["num_heads"],
        feedforward=config["ff_size"],
        text_width=config["clip_dim"],
        patch=config["patch_size"][1],
        joints=config["num_joint"],
        max_length=config["max_length"],
    )
    load_state(network, case.group("state_dict."), str(case))
    return network.eval()


def frame_mask(case: Case, network: AcmdmNetwork) -> torch.Tensor:
    """(B, L) from the published mask over tokens."""
    return case["mask_attention"][:, 0, 0].unflatten(1, (-1, network.patches))[..., 0]


def guided(case: Case, network: AcmdmNetwork, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    mask, text = frame_mask(case, network), case["clip_feature"]
    null = network(x, t, torch.zeros_like(text), mask)
    return null + case.info["guidance_scale"] * (network(x, t, text, mask) - null)


@pytest.mark.parametrize("case", cases("generators", op="ACMDM"))
def test_acmdm_network(case: Case) -> None:
    network = network_of(case)
    mask, text = frame_mask(case, network), case["clip_feature"]
    x = case["x"].requires_grad_()
    velocity = network(x, case["t"], text, mask)
    torch.testing.assert_close(velocity, case["velocity"], **VALUE)
    (velocity * case["grad_weight"]).sum().backward()
    torch.testing.assert_close(x.grad, case["grad_x"], **VALUE)
    null = network(case["x"], case["t"], torch.zeros_like(text), mask)
    torch.testing.assert_close(null, case["velocity_null"], **VALUE)
    both = guided(case, network, case["x"], torch.tensor(0.3))
    torch.testing.assert_close(both, case["velocity_cfg_t0.3"], **VALUE)


@pytest.mark.parametrize("case", cases("generators", op="ACMDM"))
@torch.no_grad()
def test_acmdm_euler_and_dopri5(case: Case) -> None:
    network = network_of(case)
    x = case["euler_trajectory"][0]
    for i, (t, after) in enumerate(zip(case["euler_t"][:-1], case["euler_t"][1:])):
        x = x + (after - t) * guided(case, network, x, t)
        assert_trajectory(x, case["euler_trajectory"][i + 1])
    tolerances = case.info["dopri5"]
    with torch_products():  # another rounding may accept another step
        end = integrate(
            lambda t, x: guided(case, network, x, t),
            case["euler_trajectory"][0],
            tolerances["rtol"],
            tolerances["atol"],
        )
    kept = frame_mask(case, network)[:, None, :, None]
    allowed = {**ADAPTIVE, "atol": max(ADAPTIVE["atol"], tolerances.get("compare_atol", 0.0))}
    torch.testing.assert_close(end * kept, case["dopri5_result"] * kept, **allowed)


@pytest.mark.parametrize("case", cases("generators", op="AE_2D", where=lambda info: info["causal"]))
def test_acmdm_autoencoder(case: Case) -> None:
    config = case.info["config"]
    autoencoder = AcmdmAutoencoder(
        config["width"], config["latent_channels"], config["depth"], config["down"]
    ).eval()
    load_state(autoencoder, case.group("state_dict."), str(case))
    latent = autoencoder.encode(case["joints"])
    torch.testing.assert_close(latent, case["latent"], **VALUE)
    whitened = (latent - case["post_mean"][:, None, None]) / case["post_std"][:, None, None]
    torch.testing.assert_close(whitened, case["latent_normalised"], **VALUE)
    torch.testing.assert_close(autoencoder.decode(case["latent"]), case["decoded"], **VALUE)
    torch.testing.assert_close(autoencoder.decode(case["random_latent"]), case["decoded_random"], **VALUE)
