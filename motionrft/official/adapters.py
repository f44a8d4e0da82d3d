"""Published adapter files of MotionReward's stages 2 and 3: names and shapes only."""

import re
from collections.abc import Mapping

from torch import Tensor

from motionrft.errors import UserError

_BLOCK = re.compile(
    r"(?:critic|ai_detection)_(input|middle|output)_block(?:_(\d+))?_(attn|ffn1|ffn2)\.lora(?:_([qkvo]))?\.(lora_[AB])"
)
_PROJECTION = re.compile(r"(?:critic|ai)_proj_(263|22x3|135)(?:_layer(\d+))?\.lora\.(lora_[AB])")


def adapter_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published keys to those of `motionrft.reward.motionreward.adapters.Adapter`.

    Raises:
        UserError: keys of no known form; the first five are named.
    """
    named = {key: _target(key) for key in state}
    foreign = [key for key, target in named.items() if target is None]
    if foreign:
        raise UserError(f"not a MotionReward adapter: unexpected keys {', '.join(foreign[:5])}")
    return {f"updates.{target}": state[key] for key, target in named.items()}


def adapter_rank(state: Mapping[str, Tensor]) -> int:
    """The rank, read from the tensors: file names do not tell it reliably."""
    ranks = {value.shape[0] for key, value in state.items() if key.endswith("lora_A")}
    if len(ranks) != 1:
        raise UserError(f"not a MotionReward adapter: ranks {sorted(ranks) or 'none'}")
    return ranks.pop()


def _target(key: str) -> str | None:
    if block := _BLOCK.fullmatch(key):
        kind, number, layer, part, factor = block.groups()
        place = "middle_block" if kind == "middle" else f"{kind}_blocks-{number}"
        inside = f"self_attn-{part}" if layer == "attn" else f"linear{layer[-1]}"
        return f"encoder-{place}-{inside}.{factor}"
    if projection := _PROJECTION.fullmatch(key):
        name, index, factor = projection.groups()
        return f"proj_{name}-proj{'' if index is None else '-' + index}.{factor}"
    return None
