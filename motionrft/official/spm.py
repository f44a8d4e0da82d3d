"""EasyTune's SPM: a single-representation MotionReward under other names, one time embedding for both towers."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from motionrft.errors import UserError
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES, Mode, RewardSize

_WIDTHS = {263: "kinematic", 251: "kinematic", 66: "joints", 135: "rotation"}
_RENAMED = {
    "motion_encoder": "motion.encoder",
    "text_encoder": "text.text_encoder",
    "query_motion_pos_encoder": "motion.query_pos_encoder",
    "query_text_pos_encoder": "text.query_text_pos_encoder",
    "query_pos_decoder": "decoder.query_pos_decoder",
    "global_motion_token": "motion.global_motion_token",
    "global_text_token": "text.global_text_token",
    "dist_motion_layer": "motion.dist_layer",
    "dist_text_layer": "text.dist_text_layer",
    "text_embedding": "text.text_embedding",
    "decoder": "decoder.decoder",
}


def spm_state(state: Mapping[str, Tensor], representation: str) -> dict[str, Tensor]:
    """Published keys to those of `MotionRewardNetwork`; the shared time embedding goes to both towers.

    Raises:
        UserError: unknown keys; the first five are named.
    """
    name = OFFICIAL_NAMES[representation]
    renamed: dict[str, Tensor] = {}
    foreign = []
    for key, value in state.items():
        head, _, rest = key.partition(".")
        rest = f".{rest}" if rest else ""
        if head == "time_embedding":
            renamed[f"motion.time_embedding{rest}"] = renamed[f"text.time_embedding_text{rest}"] = value
        elif head == "skel_embedding":
            renamed[f"motion.proj_{name}.proj{rest}"] = value
        elif head == "final_layer":
            renamed[f"decoder.final_layer_{name}{rest}"] = value
        elif head in _RENAMED:
            renamed[_RENAMED[head] + rest] = value
        else:
            foreign.append(key)
    if foreign:
        raise UserError(f"not an SPM: unexpected keys {', '.join(foreign[:5])}")
    return renamed


def spm_size(state: Mapping[str, Tensor], heads: int = 4, mode: Mode = "M0T0") -> RewardSize:
    """The size, from the tensors; the number of heads and the mode cannot be seen in them.

    Raises:
        UserError: no SPM, or of an unknown feature width.
    """
    try:
        latent, features = state["skel_embedding.weight"].shape  # (d, F)
    except (KeyError, ValueError):
        raise UserError("not an SPM: it has no skel_embedding.weight") from None
    if features not in _WIDTHS:
        raise UserError(f"an SPM over {features} features a frame; known are {', '.join(map(str, _WIDTHS))}")
    feedforward = state["motion_encoder.middle_block.linear1.weight"].shape[0]  # of (f, d)
    skips = {key.split(".")[2] for key in state if key.startswith("motion_encoder.input_blocks.")}
    layers = 2 * len(skips) + 1
    positions = state["query_motion_pos_encoder.pe"].shape[0]
    return replace(
        RewardSize(),
        latent=latent,
        width=latent,
        layers=layers,
        heads=heads,
        feedforward=feedforward,
        text_layers=layers,
        text_heads=heads,
        text_feedforward=feedforward,
        projection_hidden=latent,
        projection_layers=1,
        text_width=state["text_embedding.weight"].shape[1],
        representations=(_WIDTHS[features],),
        widths=(features,),
        positions=positions,
        time_features=state["time_embedding.linear_1.weight"].shape[1],
        mode=mode,
    )
