"""Small networks written as their authors' checkpoints, for the tests that read these."""

from pathlib import Path
from typing import Any

import torch

from motionrft.official.motionreward import collect
from motionrft.reward.motioncritic import MotionCriticNetwork, MotionCriticSize
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.tmr import TMRNetwork, TMRSize

TMR = TMRSize(text_width=24, latent=32, feedforward=48, layers=2)
MOTION_CRITIC = MotionCriticSize(16, 24, 1, 8, 32, frames=60, hidden=32)


def write_backbone(folder: Path, network: MotionRewardNetwork, **more: Any) -> Path:
    path = folder / "stage1_retrieval_backbone.pth"
    config = {"encoder_num_heads": network.size.heads, "text_num_heads": network.size.text_heads}
    state = collect(network.state_dict())
    torch.save({"state_dict": {**state, **more}, "epoch": 3, "metrics": {}, "model_config": config}, path)
    return path


def write_critic(
    folder: Path, network: MotionRewardNetwork, rank: int = 6, lora: str = "_r16", head: str = ""
) -> Critic:
    """A preference critic beside a backbone, in two files; returns the critic that they hold."""
    critic = Critic(network.motion, 1, rank=rank, alpha=12)
    for update in critic.adapter.updates.values():
        torch.nn.init.normal_(update.lora_B)
    torch.save(adapter_content(critic, "critic", "critic"), folder / f"stage2_critic_lora{lora}.pth")
    torch.save({"state_dict": critic.head.state_dict()}, folder / f"stage2_critic_head{head}.pth")
    return critic.eval()


def adapter_content(critic: Critic, prefix: str, projections: str) -> dict[str, Any]:
    """A critic's adapter under the published names."""
    named = {}
    for key, value in critic.adapter.state_dict().items():
        _, target, factor = key.split(".")
        words = target.split("-")
        if words[0] == "encoder":
            place = (
                "middle_block" if words[1] == "middle_block" else f"{words[1].split('_')[0]}_block_{words[2]}"
            )
            layer = f"attn.lora_{words[-1]}" if words[-2] == "self_attn" else f"ffn{words[-1][-1]}.lora"
            named[f"{prefix}_{place}_{layer}.{factor}"] = value
        else:
            named[f"{projections}_{words[0]}_layer{words[2]}.lora.{factor}"] = value
    return {"lora_state_dict": named, "lora_rank": 99, "lora_alpha": critic.adapter.alpha}


def write_tmr(folder: Path) -> Path:
    """`last.ckpt`, with what Lightning keeps beside the three networks."""
    torch.manual_seed(0)
    state = TMRNetwork(TMR).state_dict()
    path = folder / "last.ckpt"
    torch.save({"state_dict": {**state, "contrastive.temperature": torch.ones(1)}, "epoch": 3}, path)
    return path


def write_tmr_parts(folder: Path) -> Path:
    """`last_weights/`: the same networks, a file each."""
    torch.manual_seed(0)
    network, path = TMRNetwork(TMR), folder / "last_weights"
    path.mkdir()
    for name, part in network.named_children():
        torch.save(part.state_dict(), path / f"{name}.pt")
    return path


def write_motioncritic(folder: Path) -> Path:
    torch.manual_seed(0)
    state = {
        f"module.{name}": value for name, value in MotionCriticNetwork(MOTION_CRITIC).state_dict().items()
    }
    path = folder / "motioncritic_pre.pth"
    torch.save({"model_state_dict": state, "epoch": 3}, path)
    return path
