"""At their default or published sizes, the networks have the published numbers of parameters (nothing is allocated)."""

from typing import Any

import pytest
import torch

from motionrft.generators import build_generator

PLUS = {"autoencoder": {"kind": "transformer", "tokens": 16, "width": 32}}
PLUS_DENOISER = {"latent_width": 32, "project": True, "text_path": "linear"}
XL = {"patch": 2, "width": 1280, "layers": 20, "heads": 20}
FULL = {"width": 1280, "layers": 27, "heads": 20}

PUBLISHED: dict[str, tuple[dict[str, Any], str, float]] = {
    "mld": ({"family": "mld"}, "denoiser", 8.22),
    "mld vae": ({"family": "mld"}, "vae", 18.03),
    "mld++": ({"family": "mld", **PLUS, "denoiser": PLUS_DENOISER}, "denoiser", 8.24),
    "mld++ vae": ({"family": "mld", **PLUS, "denoiser": PLUS_DENOISER}, "vae", 18.06),
    "motionlcm v1": ({"family": "mld", "denoiser": {"guidance_width": 256}}, "denoiser", 8.42),
    "motionlcm v2": (
        {"family": "mld", **PLUS, "denoiser": PLUS_DENOISER | {"guidance_width": 256}},
        "denoiser",
        8.43,
    ),
    "mdm": ({"family": "mdm"}, "denoiser", 17.9),
    "mdm decoder": (
        {"family": "mdm", "denoiser": {"architecture": "decoder", "text_width": 768}},
        "denoiser",
        26.4,
    ),
    "motiondiffuse": ({"family": "motiondiffuse"}, "", 87),
    "stablemofusion": ({"family": "stablemofusion"}, "", 299),
    "acmdm s": ({"family": "acmdm"}, "denoiser", 39),
    "acmdm xl": ({"family": "acmdm", "denoiser": XL}, "denoiser", 596),
    "acmdm autoencoder": ({"family": "acmdm"}, "ae", 17),
    "hymotion lite": ({"family": "hymotion"}, "denoiser", 460.8),
    "hymotion full": ({"family": "hymotion", "denoiser": FULL}, "denoiser", 1042.9),
}


KIMODO = {30: 283_281_777, 34: 283_527_585, 22: 282_790_161}
"""Joints of SOMA, the G1 and SMPL-X, and the parameters of their networks."""


@pytest.mark.parametrize("joints", KIMODO)
def test_kimodo_has_exactly_as_many_parameters(joints: int) -> None:
    with torch.device("meta"):
        generator = build_generator({"family": "kimodo", "denoiser": {"joints": joints}})
    assert sum(p.numel() for p in generator.denoiser.parameters()) == KIMODO[joints]


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters(name: str) -> None:
    config, part, millions = PUBLISHED[name]
    with torch.device("meta"):
        generator = build_generator(config)
    found = sum(p.numel() for p in generator.get_submodule(part).parameters()) / 1e6
    digits = len(str(millions).partition(".")[2])
    assert found == pytest.approx(millions, abs=0.6 * 10**-digits + 0.001 * millions)
