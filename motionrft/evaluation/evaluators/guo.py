"""The text-motion evaluator of Guo et al. (2022): the judge behind nearly every published number of the
field.

One architecture serves HumanML3D (263 features), KIT-ML (251) and the joints version of ACMDM (67), at the
widths of whatever weights are loaded. The first two drop the four contacts; the last drops nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.recurrent import BidirectionalGRU
from motionrft.evaluation.evaluators.words import TAGS, WordVectorizer
from motionrft.lengths import length_mask, zero_padding
from motionrft.linear import Linear
from motionrft.representations.kinematic import joints_to_kinematic
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


Features = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(B, T, ...) motions and (B,) lengths to (B, T', D) features and their lengths."""


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
        return self.motion_encoder(self.movement_encoder(x), lengths // UNIT)  # (B, E)

    def text(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """(B, E) from word vectors (B, L, W) and one-hots (B, L, 15)."""
        return self.text_encoder(words, tags, lengths)  # (B, E)


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
        self.out_net = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_net(self.main(x[..., : self.inputs].transpose(1, 2)).transpose(1, 2))


class SequenceEncoder(nn.Module):
    """A sequence to one vector: linear, bidirectional GRU with learned start, final states, two linears."""

    def __init__(self, inputs: int, hidden: int, inner: int, embedding: int):
        super().__init__()
        self.input_emb = Linear(inputs, hidden)
        self.gru = BidirectionalGRU(hidden, hidden, learned_start=True)
        self.output_net = nn.Sequential(
            Linear(2 * hidden, inner), nn.LayerNorm(inner), nn.LeakyReLU(0.2), Linear(inner, embedding)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.output_net(self.gru(self.input_emb(x), lengths)[1])  # (B, E)


class WordEncoder(SequenceEncoder):
    """Words to one vector: the tag's embedding is added to the word's vector."""

    def __init__(self, size: GuoSize):
        super().__init__(size.words, size.text_hidden, size.text_hidden, size.embedding)
        self.pos_emb = Linear(len(TAGS), size.words)

    def forward(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(words + self.pos_emb(tags), lengths)  # (B, E)


class GuoEvaluator(Evaluator):
    """The network with its own statistics (never the data set's) and its words.

    Args:
        features: what turns motions of `representation` into the features that the statistics are of, with
            their
            lengths; None where they are those features.
    """

    min_frames = UNIT
    mean: Tensor  # (D,)
    std: Tensor  # (D,)

    def __init__(
        self,
        network: GuoNetwork,
        statistics: Statistics,
        words: WordVectorizer,
        identity: str,
        name: str = "Guo et al. 2022",
        fps: float = 20.0,
        representation: str = "kinematic",
        features: Features | None = None,
    ):
        super().__init__()
        self.network, self.words, self.features = network, words, features
        self.register_buffer("mean", statistics.mean)
        self.register_buffer("std", statistics.std)
        self.identity, self.name, self.fps, self.representation = identity, name, fps, representation
        # Of joints it reads the root's four features and the positions of all joints but the root.
        self.width = len(statistics.mean) if features is None else len(statistics.mean) - 1

    @torch.no_grad()
    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        if motion.shape[1] > WINDOW:
            raise UserError(
                f"{motion.shape[1]} frames: {self.name} reads at most {WINDOW}. Cut the motions to that."
            )
        if self.features is not None:
            motion, lengths = self.features(motion, lengths)
        normalised = zero_padding((motion - self.mean) / self.std, lengths)  # (B, T, D)
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


JOINTS_MEAN = (0.000163, 0.376632, 0.310191)
"""m: mean position in the published normalisation of joints; what a zero of its padding stands for."""


def joint_features(
    joints: Tensor, lengths: Tensor, padding: Literal["official", "clean"] = "official"
) -> tuple[Tensor, Tensor]:
    """What the joints version of the evaluator (ACMDM) sees: root and position features of joints as they
    are.

    Neither skeleton, floor, origin nor facing is normalised.

    Args:
        joints: (B, T, J, 3), at most 196 frames.
        padding: `official` computes features of the clip padded to 196 frames with the mean position, which
            leaks into the
            heading of the last 80 frames; published numbers contain that. `clean` sees the clip alone.

    Returns:
        (B, T', 4 + 3 (J - 1)) features and (B,) lengths, one less than those of the joints.
    """
    positions = 4 + 3 * (joints.shape[2] - 1)
    if padding == "clean":
        return joints_to_kinematic(joints, lengths, canonical=False)[..., :positions], lengths - 1
    valid = length_mask(lengths, joints.shape[1])[..., None, None]  # (B, T, 1, 1)
    filled = torch.where(valid, joints, joints.new_tensor(JOINTS_MEAN))  # (B, T, J, 3)
    rest = joints.new_tensor(JOINTS_MEAN).expand(len(joints), WINDOW - joints.shape[1], joints.shape[2], 3)
    padded = joints_to_kinematic(torch.cat((filled, rest), dim=1), canonical=False, official_yaw=True)
    return padded[..., :positions], lengths - 1  # (B, WINDOW - 1, positions), (B,)
