"""Published MotionReward backbones (`stage1_retrieval_backbone*.pth`): names and shapes only."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.official.pickles import counted
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES, PUBLISHED_SIZES, RewardSize

TEXT_ENCODER = "sentence-t5-large"
_MOTION = ("global_motion_token", "query_pos_encoder", "encoder", "dist_layer", "time_embedding")
_TEXT = (
    "text_embedding",
    "global_text_token",
    "query_text_pos_encoder",
    "text_encoder",
    "dist_text_layer",
    "time_embedding_text",
)
_DECODER = ("query_pos_decoder", "decoder")


def recognises(content: Mapping[str, Any]) -> bool:
    """Whether a checkpoint is a MotionReward backbone."""
    state = content.get("state_dict")
    return isinstance(state, Mapping) and "global_text_token" in state and "dist_layer.weight" in state


def backbone_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's own tensors under their plain names.

    Text encoders that were saved along (`clip.`), adapters and heads are left out; a backbone that was saved
    after its adapters had been injected carries one component more in some names.
    """
    plain = {}
    for key, value in state.items():
        if key.startswith("clip.") or any(word in key for word in ("lora", "critic", "ai_detection")):
            continue
        plain[key.replace(".original_linear.", ".").replace(".original_mha.", ".")] = value
    return plain


def deal_out(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published keys to those of `MotionRewardNetwork`: each gets the name of its tower in front.

    Raises:
        UserError: keys that belong to no tower; the first five are named.
    """
    foreign = [key for key in state if not _tower(key)]
    if foreign:
        raise UserError(f"not a MotionReward backbone: unexpected keys {', '.join(foreign[:5])}")
    return {f"{_tower(key)}.{key}": value for key, value in state.items()}


def collect(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `deal_out`."""
    return {key.split(".", 1)[1]: value for key, value in state.items()}


def size_of(state: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> RewardSize:
    """The size, from the tensors; numbers of heads from the configuration, or the published size that fits.

    Args:
        state: from `backbone_state`.
        config: the file's `model_config`, where it has one.

    Raises:
        UserError: tensors are missing, or nothing tells the number of heads.
    """
    try:
        size = _seen(state)
    except (KeyError, IndexError) as missing:
        raise UserError(f"not a MotionReward backbone: it has no {missing}") from None
    heads = (config or {}).get("encoder_num_heads"), (config or {}).get("text_num_heads")
    if None in heads:
        heads = _published_heads(size)
    return RewardSize.from_dict({**size, "heads": heads[0], "text_heads": heads[1]})


def _seen(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Every field of the size that shapes tell."""
    names = [name for name, official in OFFICIAL_NAMES.items() if _projections(state, official)]
    projections = [_projections(state, OFFICIAL_NAMES[name]) for name in names]
    return {
        "latent": state["dist_layer.weight"].shape[0] // 2,
        "width": state["global_motion_token"].shape[1],
        "layers": 2 * counted(state, "encoder.input_blocks.") + 1,
        "feedforward": state["encoder.middle_block.linear1.weight"].shape[0],
        "text_layers": 2 * counted(state, "text_encoder.input_blocks.") + 1,
        "text_feedforward": state["text_encoder.middle_block.linear1.weight"].shape[0],
        "projection_hidden": projections[0][0].shape[0],
        "projection_layers": len(projections[0]),
        "text_width": state["text_embedding.weight"].shape[1],
        "representations": names,
        "widths": [linears[0].shape[1] for linears in projections],
        "positions": state["query_pos_encoder.pe"].shape[0],
        "time_features": state["time_embedding.linear_1.weight"].shape[1],
    }


def _projections(state: Mapping[str, Tensor], official: str) -> list[Tensor]:
    """Weights (out, in) of one representation's projection, in order; empty where the backbone has none."""
    prefix = f"proj_{official}.proj."
    return [state[key] for key in sorted(state) if key.startswith(prefix) and key.endswith("weight")]


def _published_heads(size: Mapping[str, Any]) -> tuple[int, int]:
    for published in PUBLISHED_SIZES.values():
        shared = ("latent", "layers", "feedforward", "projection_hidden", "projection_layers")
        widths = (published.width, published.latent)
        if size["width"] in widths and all(getattr(published, name) == size[name] for name in shared):
            return published.heads, published.text_heads
    raise UserError(
        "this backbone has no model_config, and its shapes are of no published size, so the number of attention "
        "heads is unknown; name it with heads and text_heads"
    )


def _tower(key: str) -> str | None:
    head = key.split(".", 1)[0]
    if head in _MOTION or head.startswith("proj_"):
        return "motion"
    if head in _TEXT:
        return "text"
    if head in _DECODER or head.startswith("final_layer_"):
        return "decoder"
    return None
