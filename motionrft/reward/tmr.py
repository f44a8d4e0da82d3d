"""TMR (Petrovich et al. 2023) as a reward: text-motion retrieval by two plain transformers.

Parameter names are the published ones. Each encoder has two learned tokens, whose outputs are mean and
log-variance; positions are sinusoids; there is no final norm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.lengths import length_mask, zero_padding
from motionrft.linear import Linear
from motionrft.representations.convert import convert, converted_lengths
from motionrft.representations.names import representation_name
from motionrft.representations.statistics import Statistics
from motionrft.reward.base import Learnt, RewardCondition
from motionrft.reward.motionreward.gaussian import Gaussian
from motionrft.reward.motionreward.motionreward import Normaliser
from motionrft.text.base import TextEncoder
from motionrft.transformer import Decoder, Encoder


def sinusoids(positions: int, width: int, device: torch.device | None = None) -> Tensor:
    """(positions, width): sines at even places, cosines at odd ones; made on the device, which is not waited for then."""
    rates = torch.exp(-math.log(10000.0) * torch.arange(0, width, 2, device=device) / width)  # (width / 2,)
    angles = torch.arange(positions, device=device)[:, None] * rates  # (positions, width / 2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]  # (positions, width)


@dataclass(frozen=True)
class TMRSize:
    """What fixes the network; the published one by default.

    features: F of a motion's frame. text_width: of a token state. latent: L.
    feedforward, layers, heads: of all three transformers.
    """

    features: int = 263
    text_width: int = 768
    latent: int = 256
    feedforward: int = 1024
    layers: int = 6
    heads: int = 4


class TMREncoder(nn.Module):
    """Features (B, T, F) to a Gaussian over (B, L): [mean token, log-variance token, features]."""

    def __init__(self, features: int, size: TMRSize):
        super().__init__()
        self.projection = Linear(features, size.latent)
        self.tokens = nn.Parameter(torch.randn(2, size.latent))  # (2, L): mean, log-variance
        self.seqTransEncoder = Encoder(size.latent, size.layers, size.heads, size.feedforward)

    def forward(self, x: Tensor, mask: Tensor) -> Gaussian:
        """x (B, T, F), mask (B, T) bool True where valid."""
        tokens = self.tokens.expand(len(x), -1, -1)  # (B, 2, L)
        sequence = torch.cat((tokens, self.projection(x)), dim=1)  # (B, 2 + T, L)
        sequence = sequence + sinusoids(
            sequence.shape[1], sequence.shape[2], sequence.device
        )  # (B, 2 + T, L)
        state = self.seqTransEncoder(sequence, F.pad(mask, (2, 0), value=True), rows=2)  # (B, 2, L)
        return Gaussian(state[:, 0], state[:, 1])  # (B, L) each


class TMRDecoder(nn.Module):
    """A latent (B, L) to features (B, T, F): zero queries with positions, one memory token."""

    def __init__(self, size: TMRSize):
        super().__init__()
        self.seqTransDecoder = Decoder(size.latent, size.layers, size.heads, size.feedforward)
        self.final_layer = Linear(size.latent, size.features)

    def forward(self, z: Tensor, lengths: Tensor, frames: int) -> Tensor:
        """(B, frames, F), zero beyond each length."""
        queries = sinusoids(frames, z.shape[-1], z.device).expand(len(z), -1, -1)  # (B, T, L)
        states = self.seqTransDecoder(queries, z[:, None], length_mask(lengths, frames))  # (B, T, L)
        return zero_padding(self.final_layer(states), lengths)  # (B, T, F)


class TMRNetwork(nn.Module):
    """TMR's three networks under their published names."""

    def __init__(self, size: TMRSize):
        super().__init__()
        self.size = size
        self.motion_encoder = TMREncoder(size.features, size)
        self.text_encoder = TMREncoder(size.text_width, size)
        self.motion_decoder = TMRDecoder(size)


class TMRReward(Learnt):
    """TMR's similarity of text and motion, in [0, 1]; term `semantic`, and `similarity` to a reference.

    Args:
        statistics: TMR's own; its motions are kinematic features of AMASS, whatever the generator was trained on.
        text_encoder: of token states 768 wide, DistilBERT as published.
    """

    family: ClassVar[str] = "tmr"
    ranges = MappingProxyType({"semantic": (0.0, 1.0), "similarity": (0.0, 1.0)})

    def __init__(
        self,
        network: TMRNetwork,
        statistics: Statistics,
        text_encoder: TextEncoder,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.text_encoder = network, text_encoder
        self.normaliser = Normaliser(statistics)
        self.weigh(weights or {"semantic": 1.0})
        self.expect("kinematic")
        self.eval().requires_grad_(False)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("semantic", "similarity")

    @property
    def kinematic_width(self) -> int:
        return self.network.size.features

    def expect(self, representation: str) -> None:
        """Whatever converts to kinematic features can be judged."""
        self.representation = representation_name(representation)

    @property
    def width(self) -> int:
        """L, of the embeddings."""
        return self.network.size.latent

    def config(self) -> dict[str, Any]:
        encoder = self.text_encoder
        return {"size": asdict(self.network.size), "text": encoder.name, "text_identity": encoder.identity}

    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """(B, L) unit means of de-normalised motions in `representation`; differentiable."""
        motion = convert(motion, self.representation, "kinematic", lengths)  # (B, T, 263)
        lengths = converted_lengths(lengths, self.representation, "kinematic")
        mask = length_mask(lengths, motion.shape[1])  # (B, T)
        return F.normalize(self.network.motion_encoder(self.normaliser(motion, lengths), mask).mean, dim=-1)

    def remember(self, texts: Sequence[str]) -> None:
        if "semantic" in self.weights:
            self.text_encoder.remember(texts)

    @torch.no_grad()
    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        text = reference = None
        if texts and "semantic" in self.weights:
            features = self.text_encoder.encode(texts).to(self.network.text_encoder.tokens.device)
            text = F.normalize(self.network.text_encoder(features.tokens, features.mask).mean, dim=-1)
        if references is not None and lengths is not None and "similarity" in self.weights:
            reference = self.embed_motion(references, lengths)  # (B, L)
        return RewardCondition(text, reference)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        own = self.embed_motion(motion, lengths)  # (B, L)
        against = {"semantic": condition.text, "similarity": condition.reference}
        terms, total = {}, motion.new_zeros(len(motion))  # (B,)
        for name, other in against.items():
            if other is not None and name in self.weights:
                terms[name] = (own * other).sum(-1) / 2 + 0.5  # (B,)
                total = total + self.weights[name] * terms[name]  # (B,)
        return total, terms
