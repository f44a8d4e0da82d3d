"""BERT's encoder (Devlin et al. 2019) on the project's own layers: token ids to token states.

The library it is published for takes seconds to import; its weights load here by their own names in a tenth of one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from motionrft.training.described import without_storage
from motionrft.transformer import Encoder, EncoderLayer


class Bert(nn.Module):
    """Words, positions and one token type, normalised, through a post-norm encoder.

    Args:
        words, positions: rows of the two tables.
        eps: of every LayerNorm.
    """

    def __init__(
        self,
        words: int = 30522,
        positions: int = 512,
        width: int = 384,
        layers: int = 6,
        heads: int = 12,
        feedforward: int = 1536,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.positions = nn.Parameter(torch.zeros(positions, width))
        self.kind = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, eps)
        self.encoder = Encoder(width, layers, heads, feedforward)
        for layer in self.encoder.layers:
            assert isinstance(layer, EncoderLayer)
            layer.norm1.eps = layer.norm2.eps = eps

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids (B, L) int64 with mask (B, L) bool to states (B, L, D)."""
        states = self.words(ids) + self.positions[: ids.shape[1]] + self.kind  # (B, L, D)
        return self.encoder(self.norm(states), mask)

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor]) -> "Bert":
        """From a published state dict (`embeddings. …`, `encoder.layer.N. …`), whose shapes say all sizes but the heads.

        Heads are 32 wide, as in every MiniLM.
        """
        words, width = weights["embeddings.word_embeddings.weight"].shape
        layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
        feedforward = weights["encoder.layer.0.intermediate.dense.weight"].shape[0]
        positions = weights["embeddings.position_embeddings.weight"].shape[0]
        with without_storage():
            model = cls(words, positions, width, layers, width // 32, feedforward)
        named = {
            "words.weight": weights["embeddings.word_embeddings.weight"],
            "positions": weights["embeddings.position_embeddings.weight"],
            "kind": weights["embeddings.token_type_embeddings.weight"][0],
            "norm.weight": weights["embeddings.LayerNorm.weight"],
            "norm.bias": weights["embeddings.LayerNorm.bias"],
        }
        for number in range(layers):
            named |= _layer(weights, f"encoder.layer.{number}", f"encoder.layers.{number}")
        model.load_state_dict(named, assign=True)
        return model


def _layer(weights: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    attention, found = f"{theirs}.attention.self", dict[str, Tensor]()
    for kind in ("weight", "bias"):
        packed = [weights[f"{attention}.{part}.{kind}"] for part in ("query", "key", "value")]
        found |= {
            f"{ours}.self_attn.in_proj_{kind}": torch.cat(packed),
            f"{ours}.self_attn.out_proj.{kind}": weights[f"{theirs}.attention.output.dense.{kind}"],
            f"{ours}.norm1.{kind}": weights[f"{theirs}.attention.output.LayerNorm.{kind}"],
            f"{ours}.linear1.{kind}": weights[f"{theirs}.intermediate.dense.{kind}"],
            f"{ours}.linear2.{kind}": weights[f"{theirs}.output.dense.{kind}"],
            f"{ours}.norm2.{kind}": weights[f"{theirs}.output.LayerNorm.{kind}"],
        }
    return found
