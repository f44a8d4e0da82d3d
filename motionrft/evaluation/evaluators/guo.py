"""The text-motion evaluator of Guo et al. (2022): the judge behind nearly every published number of the
field.

One architecture serves HumanML3D (263 features), KIT-ML (251) and the joints version of ACMDM (67), at the
widths of whatever weights are loaded. The first two drop the four contacts; the last drops nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.recurrent import BidirectionalGRU
from motionrft.evaluation.evaluators.words import TAGS, WordVectorizer
from motionrft.lengths import zero_padding
from motionrft.representations.statistics import Statistics

UNIT = 4
"""Frames a snippet: two convolutions of stride 2."""
WINDOW = 196
"""Frames that every clip is padded to: the convolutions see the zeros behind a clip, so their number must not
vary."""


@dataclass(frozen=True)
class GuoSize:
    """Widths of the four parts; the defaults are the published ones for HumanML3D.

    motion: features of a frame that are read (contacts already dropped). words: width of a word vector.
    """

    motion: int = 259
    words: int = 300
    movement_hidden: int = 512
    movement: int = 512
    motion_hidden: int = 1024
    text_hidden: int = 512
    embedding: int = 512


class GuoNetwork(nn.Module):
    """Movement encoder, motion encoder and text encoder."""

    def __init__(self, size: GuoSize):
        super().__init__()
        self.size = size
        self.movement_encoder = MovementEncoder(size.motion, size.movement_hidden, size.movement)
        self.motion_encoder = SequenceEncoder(
            size.movement, size.motion_hidden, size.motion_hidden, size.embedding
        )
        self.text_encoder = WordEncoder(size)

    def motion(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, E) from normalised features (B, T, D), zero behind each length of at least 4."""
        return self.motion_encoder(self.movement_encoder(x), lengths // UNIT)

    def text(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """(B, E) from word vectors (B, L, W) and one-hots (B, L, 15)."""
        return self.text_encoder(words, tags, lengths)


class MovementEncoder(nn.Module):
    """Frames to snippets: (B, T, D) to (B, T // 4, M). Features beyond the first `inputs` are not read."""

    def __init__(self, inputs: int, hidden: int, width: int):
        super().__init__()
        self.inputs = inputs
        self.main = nn.Sequential(
            nn.Conv1d(inputs, hidden, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, width, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_net(self.main(x[..., : self.inputs].transpose(1, 2)).transpose(1, 2))


class SequenceEncoder(nn.Module):
    """A sequence to one vector: linear, bidirectional GRU with learned start, final states, two linears."""

    def __init__(self, inputs: int, hidden: int, inner: int, embedding: int):
        super().__init__()
        self.input_emb = nn.Linear(inputs, hidden)
        self.gru = BidirectionalGRU(hidden, hidden, learned_start=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, inner), nn.LayerNorm(inner), nn.LeakyReLU(0.2), nn.Linear(inner, embedding)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.output_net(self.gru(self.input_emb(x), lengths)[1])


class WordEncoder(SequenceEncoder):
    """Words to one vector: the tag's embedding is added to the word's vector."""

    def __init__(self, size: GuoSize):
        super().__init__(size.words, size.text_hidden, size.text_hidden, size.embedding)
        self.pos_emb = nn.Linear(len(TAGS), size.words)

    def forward(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(words + self.pos_emb(tags), lengths)


class GuoEvaluator(Evaluator):
    """The network with its own statistics (never the data set's) and its words."""

    min_frames = UNIT
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: GuoNetwork,
        statistics: Statistics,
        words: WordVectorizer,
        identity: str,
        name: str = "Guo et al. 2022",
        fps: float = 20.0,
        representation: str = "kinematic",
    ):
        super().__init__()
        self.network, self.words = network, words
        self.register_buffer("mean", statistics.mean)
        self.register_buffer("std", statistics.std)
        self.identity, self.name, self.fps, self.representation = identity, name, fps, representation

    @torch.no_grad()
    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        if motion.shape[1] > WINDOW:
            raise UserError(
                f"{motion.shape[1]} frames: {self.name} reads at most {WINDOW}. Cut the motions to that."
            )
        normalised = zero_padding((motion - self.mean) / self.std, lengths)
        return self.network.motion(
            nn.functional.pad(normalised, (0, 0, 0, WINDOW - motion.shape[1])), lengths
        )

    @torch.no_grad()
    def embed_text(self, captions: Sequence[Caption]) -> Tensor:
        bare = next((caption.text for caption in captions if not caption.tokens), None)
        if bare is not None:
            raise UserError(
                f"{bare!r} has no word/TAG tokens, which {self.name} reads. Use caption files with "
                "`caption#word/TAG word/TAG#start#end`, or the built-in evaluator."
            )
        parts = self.words.batch([caption.tokens for caption in captions])
        return self.network.text(*(part.to(self.mean.device) for part in parts))
