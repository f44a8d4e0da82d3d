"""A small language model of motion tokens: MotionGPT's idea (Jiang et al. 2023) at the size of a laptop.

Instead of a T5 that reads and writes words and motions, a decoder writes motion tokens alone and attends to states of a
frozen text encoder (as T2M-GPT's does to CLIP's vector, Zhang et al. 2023).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor

from motionrft.generators.base import Condition
from motionrft.generators.motion_tokens import MotionTokens, TokenScores
from motionrft.generators.motiongpt_vq import MotionVq
from motionrft.generators.token_decoder_network import Past, TokenDecoder
from motionrft.generators.token_generator import TokenGenerator, Vocabulary
from motionrft.generators.token_sampling import TokenSampling


@dataclass(frozen=True)
class TokenDecoderSettings:
    """Settings of the family.

    features: of a frame. codes, code_width: of the codebook. vq_width, vq_depth: of the VQ-VAE, 2^`down` frames a token.
    width, layers, heads, feedforward, dropout: of the decoder. text, text_width: the text encoder and its states.
    guidance: scale of classifier-free guidance unless another is named; 1 for none.
    """

    features: int = 263
    codes: int = 512
    code_width: int = 32
    vq_width: int = 128
    vq_depth: int = 2
    down: int = 2
    width: int = 128
    layers: int = 4
    heads: int = 4
    feedforward: int = 512
    dropout: float = 0.1
    text: str = "minilm"
    text_width: int = 384
    guidance: float = 1.0
    fps: float = 20.0
    min_frames: int = 16
    max_frames: int = 196


class TokenDecoderGenerator(TokenGenerator):
    """Family `token-decoder`."""

    family = "token-decoder"
    representation = "kinematic"
    knows_guidance = True
    language_model: TokenDecoder

    def __init__(self, config: TokenDecoderSettings):
        super().__init__()
        self.config = config
        self.fps, self.text_encoder_name = config.fps, config.text
        self.min_frames, self.max_frames = config.min_frames, config.max_frames
        if not 2**config.down <= config.min_frames <= config.max_frames:
            raise ValueError(f"min_frames {config.min_frames} lies between a token and max_frames")
        self.vq = MotionVq(
            config.features,
            config.codes,
            config.code_width,
            config.vq_width,
            config.down,
            config.vq_depth,
        )
        longest = config.max_frames // 2**config.down
        self.language_model = TokenDecoder(
            config.codes,
            longest,
            config.width,
            config.layers,
            config.heads,
            config.feedforward,
            config.text_width,
            config.dropout,
        )
        self.vocabulary = Vocabulary(config.codes + 1, config.codes, 0, config.codes, config.codes)
        self.most_ids = longest
        self.usual = TokenSampling(1.0, 0, True, "asked", config.fps, config.guidance)
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("std", torch.ones(config.features))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(TokenDecoderSettings(**config))

    def to_config(self) -> dict[str, Any]:
        return asdict(self.config)

    @property
    def lora_targets(self) -> list[str]:
        return ["qkv", "q", "kv"]

    def encode_text(self, texts: Sequence[str]) -> Condition:
        return Condition(self.text_encoder.encode(texts))

    def null_prompts(self, count: int) -> Condition:
        """The empty text."""
        return Condition(self.text_encoder.encode([""]).expand(count).to(self.device))

    def logits(self, prompts: Condition, tokens: MotionTokens) -> Tensor:
        """(B, N + 1, K + 1): of the first token, of each after those before, of the end; with gradient."""
        features, ids = prompts.text, tokens.codes.to(self.device)  # (B, N)
        start = ids.new_full((len(ids), 1), self.language_model.start)
        text = self.language_model.read(features.tokens)
        return self.language_model(torch.cat([start, ids], dim=1), text, features.mask)[0]

    def log_prob(
        self, prompts: Condition, tokens: MotionTokens, heard: MotionTokens | None = None
    ) -> TokenScores:
        targets, mask = self.targets(tokens)
        found = self.logits(prompts, heard or tokens).float().log_softmax(-1)
        each = found.gather(-1, targets[..., None])[..., 0]  # (B, N + 1)
        return TokenScores(torch.where(mask, each, 0.0), mask)

    def written_logits(self, prompts: Condition, tokens: MotionTokens, lengths: Tensor) -> Tensor:
        return self.logits(prompts, tokens)

    def targets(self, tokens: MotionTokens) -> tuple[Tensor, Tensor]:
        """Ids (B, N + 1) that `logits` should give: the codes, the end; and (B, N + 1) which of them count."""
        codes, counts = tokens.codes.to(self.device), tokens.counts.to(self.device)
        places = torch.arange(codes.shape[1] + 1, device=self.device)
        ids = torch.cat([codes, codes.new_zeros(len(codes), 1)], dim=1)
        ids = torch.where(places == counts[:, None], self.vocabulary.end, ids)
        return ids, places <= counts[:, None]

    def writer(self, prompts: Condition, lengths: Tensor) -> "_Writer":
        return _Writer(self.language_model, prompts)

    def read_ids(self, ids: Sequence[int]) -> tuple[list[int], bool]:
        """Every id but the end is a code; two tokens are a motion, as published."""
        return list(ids) or [0], len(ids) > 1


class _Writer:
    """Tokens one after the other; keys and values of those before are kept."""

    def __init__(self, network: TokenDecoder, prompts: Condition):
        self.network, self.mask = network, prompts.text.mask
        self.text: Past = network.read(prompts.text.tokens)
        self.past: Past | None = None

    def logits(self, ids: Tensor | None) -> Tensor:
        if ids is None:
            ids = torch.full((len(self.mask),), self.network.start, device=self.mask.device)
        found, self.past = self.network(ids[:, None], self.text, self.mask, self.past)
        return found[:, -1]  # (B, K + 1)
