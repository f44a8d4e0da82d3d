"""What the parity tests of rewards share: tolerances, and networks built from a case."""

import torch
from torch import Tensor

from motionrft.official.adapters import adapter_rank, adapter_state
from motionrft.official.motionreward import deal_out, size_from_config
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from tests.parity.golden import Case

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


def critic_of(case: Case, network: MotionRewardNetwork, kind: str, outputs: int) -> Critic:
    """The case's adapter and head; projections of other representations are not stored and stay zero updates."""
    state = case.group(f"{kind}_lora/")
    config = case.info["config"]
    critic = Critic(network.motion, outputs, adapter_rank(state), config["lora_alpha"]).eval()
    _missing, unexpected = critic.adapter.load_state_dict(adapter_state(state), strict=False)
    assert not unexpected
    critic.head.load_state_dict(case.group(f"{kind}_head/"))
    return critic
