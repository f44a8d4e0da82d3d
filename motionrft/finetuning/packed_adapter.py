"""A low-rank adapter of queries, keys and values where they are one packed parameter, as in `torch.nn` attention."""

from typing import cast

from peft.tuners.lora.layer import ParamWrapper
from torch import Tensor, nn

from motionrft.transformer import Attention


class PackedAdapter(ParamWrapper):
    """peft's adapter of `in_proj_weight`, with the sum taken once a call.

    peft itself parametrises the wrapped module anew in every forward pass, which costs more than a small network's
    attention, and knows no other method than `forward`. Everything else (saving, switching off, folding in) is peft's.
    """

    @property
    def heads(self) -> int:
        """As `Attention`."""
        return self._attention.heads

    @property
    def _attention(self) -> Attention:
        return cast(Attention, self.get_base_layer())

    def packed(self) -> Tensor:
        """(3D, D) the weight with the active adapters' updates."""
        weight: Tensor = self._attention.in_proj_weight
        if self.disable_adapters or self.merged:
            return weight
        for name in self.active_adapters:
            if name in self.lora_A:
                weight = weight + self.get_delta_weight(name)
        return weight

    def forward(self, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """As `Attention`: (B, Q, D)."""
        return self._attention(query, memory, mask, self.packed())

    def read(
        self, query: Tensor, memory: Tensor, mask: Tensor | None = None, join: nn.Linear | None = None
    ) -> Tensor:
        """As `Attention`: (B, Q, D)."""
        return self._attention.read(query, memory, mask, join, self.packed())


def adopt(model: nn.Module) -> None:
    """Turn peft's adapters of packed projections, wherever they are in a model, into these."""
    for module in model.modules():
        if isinstance(module, ParamWrapper) and isinstance(module.get_base_layer(), Attention):
            module.__class__ = PackedAdapter
