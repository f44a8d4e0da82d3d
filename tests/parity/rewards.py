"""What the parity tests of rewards share: tolerances, and networks built from a case."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from motionrft.official.adapters import adapter_rank, adapter_state
from motionrft.official.motionreward import deal_out
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES, RewardSize
from tests.parity.golden import Case

REPRESENTATIONS = {"263": "kinematic", "22x3": "joints", "135": "rotation"}


def close(actual: Tensor, expected: Tensor, name: str, gradient: bool = False) -> None:
    tolerance = 1e-4 * expected.abs().max().item() if gradient else 2e-5
    torch.testing.assert_close(
        actual.detach().float(), expected, atol=tolerance, rtol=2e-5, msg=lambda m: f"{name}: {m}"
    )


def size_from_config(config: Mapping[str, Any], text_width: int = 1024, positions: int = 500) -> RewardSize:
    """The size that a published `model_config` describes."""
    latent = config["latent_dim"]
    names = {official: ours for ours, official in OFFICIAL_NAMES.items()}
    representations = tuple(names[str(name)] for name in config.get("repr_types", OFFICIAL_NAMES.values()))
    widths = dict(zip(RewardSize.representations, RewardSize.widths, strict=True))
    return RewardSize(
        latent=latent,
        width=config["unified_dim"] if config.get("use_unified_dim", True) else latent,
        layers=config["encoder_num_layers"],
        heads=config["encoder_num_heads"],
        feedforward=config["encoder_ff_size"],
        text_layers=config["text_num_layers"],
        text_heads=config["text_num_heads"],
        text_feedforward=config["text_ff_size"],
        projection_hidden=config.get("proj_hidden_dim", 256),
        projection_layers=config.get("proj_num_layers", 2),
        text_width=text_width,
        representations=representations,
        widths=tuple(widths[name] for name in representations),
        positions=positions,
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


def critic_of(case: Case, network: MotionRewardNetwork, kind: str, outputs: int) -> Critic:
    """The case's adapter and head; projections of other representations are not stored and stay zero updates."""
    state = case.group(f"{kind}_lora/")
    config = case.info["config"]
    critic = Critic(network.motion, outputs, adapter_rank(state), config["lora_alpha"]).eval()
    _missing, unexpected = critic.adapter.load_state_dict(adapter_state(state), strict=False)
    assert not unexpected
    critic.head.load_state_dict(case.group(f"{kind}_head/"))
    return critic
