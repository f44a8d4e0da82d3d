"""Published MotionReward state dicts: names and shapes only."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from motionrft.errors import UserError
from motionrft.reward.sizes import OFFICIAL_NAMES, RewardSize

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


def deal_out(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published keys to those of `MotionRewardNetwork`: each gets the name of its tower in front.

    Raises:
        UserError: keys that belong to no tower; the first five are named.
    """
    dealt = {f"{tower}.{key}": value for key, value in state.items() if (tower := _tower(key))}
    foreign = [key for key in state if not _tower(key)]
    if foreign:
        raise UserError(f"not a MotionReward backbone: unexpected keys {', '.join(foreign[:5])}")
    return dealt


def collect(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `deal_out`."""
    return {key.split(".", 1)[1]: value for key, value in state.items()}


def _tower(key: str) -> str | None:
    head = key.split(".", 1)[0]
    if head in _MOTION or head.startswith("proj_"):
        return "motion"
    if head in _TEXT:
        return "text"
    if head in _DECODER or head.startswith("final_layer_"):
        return "decoder"
    return None


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
