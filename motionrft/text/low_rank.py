"""A peft folder's low-rank weights (Hu et al. 2021), read layer by layer."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from motionrft.errors import UserError
from motionrft.parsing import parsing, read_json
from motionrft.text.shards import Shards

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIXES = ("base_model.model.", "model.")
_UNLIKE = ("use_dora", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias")
"""Settings under which an adapter computes something else than is written here."""

_ROWS = 256
"""Of a weight that are merged at once: the float32 product of a whole one would double the layer."""


@dataclass(frozen=True)
class LowRank:
    """`scale` B A beside a linear layer. down: (r, inputs), up: (outputs, r), float32 as in peft."""

    down: Tensor
    up: Tensor
    scale: float

    def merged(self, weight: Tensor) -> Tensor:
        """(outputs, inputs): the layer's weight with the adapter in it, in memory of its own."""
        result = torch.empty_like(weight)
        for first in range(0, len(weight), _ROWS):
            rows = slice(first, first + _ROWS)
            result[rows] = (
                weight[rows] + (self.up[rows] @ self.down) * self.scale
            )  # rounded once, as peft does
        return result

    def beside(self, inputs: Tensor, result: Tensor) -> Tensor:
        """The layer's `result` for `inputs`, with the adapter's added."""
        added = F.linear(F.linear(inputs.to(self.down.dtype), self.down), self.up) * self.scale
        return (result + added).to(result.dtype)


class LowRankFolder:
    """The adapters of a folder.

    Raises:
        UserError: it is no adapter of the plain kind, or damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        config = read_json(folder / CONFIG)
        self._scale = _scale(config, folder / CONFIG)
        self._shards = Shards(folder, WEIGHTS, _PREFIXES)
        adapted = {name.rsplit(".lora_", 1)[0] for name in self._shards.names() if ".lora_" in name}
        if not adapted or len(self._shards.names()) != 2 * len(adapted):
            raise UserError(
                f"{folder / WEIGHTS}: not pairs of low-rank weights alone; this is another adapter."
            )
        self._adapted = adapted

    @property
    def files(self) -> list[Path]:
        return [self.folder / CONFIG, *self._shards.files]

    def read(self, names: list[str], device: torch.device) -> dict[str, LowRank]:
        """The adapters of those linear layers (`layers.3.mlp.up_proj`) that have one."""
        here = [name for name in names if name in self._adapted]
        wanted = [f"{name}.lora_{side}.weight" for name in here for side in "AB"]
        found = self._shards.read(wanted, device, torch.float32)
        return {
            name: LowRank(found[f"{name}.lora_A.weight"], found[f"{name}.lora_B.weight"], self._scale)
            for name in here
        }


def _scale(config: dict[str, Any], source: Path) -> float:
    with parsing(source, "a peft configuration") as place:
        kind = config.get("peft_type")
        unlike = [name for name in _UNLIKE if config.get(name)]
        if kind != "LORA" or unlike or config.get("bias", "none") != "none":
            place.fail(
                f"{f'sets {unlike[0]}' if unlike else f'is of kind {kind}'}; plain LoRA without biases is read."
            )
        rank = int(config["r"])
        return float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)
