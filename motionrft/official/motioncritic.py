"""Published MotionCritic checkpoints (`motioncritic_pre.pth`): names and shapes only."""

from collections.abc import Mapping

from torch import Tensor

from motionrft.official.pickles import below, counted
from motionrft.reward.motioncritic import MotionCriticSize


def motioncritic_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the `module.` that parallel training left in front of every name."""
    return below(state, "module.") or dict(state)


def motioncritic_size(state: Mapping[str, Tensor]) -> MotionCriticSize:
    """The size, from the tensors; the number of heads cannot be seen in them and is the published one."""
    return MotionCriticSize(
        width=state["dstran.joints_embed.weight"].shape[0],
        representation=state["dstran.pre_logits.fc.weight"].shape[0],
        depth=counted(state, "dstran.blocks_st."),
        feedforward=state["dstran.blocks_st.0.mlp_s.fc1.weight"].shape[0],
        frames=state["dstran.temp_embed"].shape[1],
        joints=state["dstran.pos_embed"].shape[1],
        hidden=state["mlp.fc1.weight"].shape[0],
    )
