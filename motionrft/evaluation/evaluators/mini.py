"""The built-in evaluator: two convolutions and a recurrent network a side, trained in minutes on two cores.

It is never the reward: another architecture, seed and order of data. Its numbers compare with no publication.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from motionrft.data.captions import Caption
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.evaluators.recurrent import BidirectionalGRU
from motionrft.lengths import length_mask
from motionrft.linear import Linear
from motionrft.text.base import TextEncoder, TextFeatures


@dataclass(frozen=True)
class MiniSize:
    """Widths of the built-in evaluator.

    motion: features read of each frame; further ones (the contacts) are dropped.
    text: width of the text encoder's token states.
    """

    motion: int = 259
    text: int = 384
    width: int = 160
    hidden: int = 320
    embedding: int = 64


class MiniEvaluatorNetwork(nn.Module):
    """Unit embeddings of normalised motions and of token states, with the temperature they are trained at."""

    def __init__(self, size: MiniSize):
        super().__init__()
        self.size = size
        self.first = nn.Conv1d(size.motion, size.width, 4, stride=2, padding=1)
        self.second = nn.Conv1d(size.width, size.width, 4, stride=2, padding=1)
        self.motion_gru = BidirectionalGRU(size.width, size.width)
        self.motion_head = _head(size)
        self.text_in = Linear(size.text, size.width)
        self.text_gru = BidirectionalGRU(size.width, size.width)
        self.text_head = _head(size)
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())

    def motion(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, E) from normalised features (B, T, D >= size.motion), T at least 4."""
        x = x[..., : self.size.motion].transpose(1, 2)  # (B, D, T)
        for layer in (self.first, self.second):
            # Frames behind the clip are zero before each convolution, whatever the batch was padded to.
            x = layer(x * length_mask(lengths, x.shape[2])[:, None].to(x.dtype))  # (B, width, T / 2)
            x, lengths = nn.functional.gelu(x), lengths // 2
        return self._embed(x.transpose(1, 2), lengths.clamp(min=1), self.motion_gru, self.motion_head)

    def text(self, features: TextFeatures) -> Tensor:
        """(B, E) from token states (B, L, D) with their mask."""
        lengths = features.mask.sum(dim=1).clamp(min=1)  # (B,)
        return self._embed(self.text_in(features.tokens), lengths, self.text_gru, self.text_head)  # (B, E)

    def logits(self, text: Tensor, motion: Tensor) -> Tensor:
        """(B, B) cosines over the learned temperature, rows texts."""
        return text @ motion.T / self.log_temperature.exp()  # (B, B)

    def _embed(self, x: Tensor, lengths: Tensor, gru: BidirectionalGRU, head: nn.Module) -> Tensor:
        states = gru(x, lengths)[0]  # (B, T, 2 width)
        mask = length_mask(lengths, states.shape[1])[..., None]  # (B, T, 1)
        mean = (states * mask).sum(dim=1) / lengths[:, None]  # (B, 2 width)
        peak = states.masked_fill(~mask, -torch.inf).amax(dim=1)  # (B, 2 width)
        return nn.functional.normalize(head(torch.cat((mean, peak), dim=1)), dim=1)  # (B, E)


class MiniEvaluator(Evaluator):
    """The network with its statistics and its text encoder.

    Args:
        mean, std: (D,) of the training data, D at least `network.size.motion`.
        identity: hash of the files it was read from.
    """

    representation = "kinematic"
    min_frames = 4
    comparable = False
    mean: Tensor  # (D,)
    std: Tensor  # (D,)

    def __init__(
        self,
        network: MiniEvaluatorNetwork,
        mean: Tensor,
        std: Tensor,
        text_encoder: TextEncoder,
        identity: str,
        fps: float = 20.0,
        name: str = "built-in evaluator",
    ):
        super().__init__()
        self.network, self.text_encoder = network, text_encoder
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.identity, self.fps, self.name, self.width = identity, fps, name, len(mean)

    @torch.no_grad()
    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        return self.network.motion((motion - self.mean) / self.std, lengths)  # (B, E)

    @torch.no_grad()
    def embed_text(self, captions: Sequence[Caption]) -> Tensor:
        features = self.text_encoder.encode([caption.text for caption in captions])  # (B, L, D) tokens
        return self.network.text(features.to(self.mean.device, self.mean.dtype))  # (B, E)


def mini_config(network: MiniEvaluatorNetwork, text_encoder: TextEncoder, fps: float) -> dict:
    """What `config.json` holds beside the tensors."""
    text = {"name": text_encoder.name, "identity": text_encoder.identity}
    return {"family": "mini", "size": asdict(network.size), "text_encoder": text, "fps": fps}


def _head(size: MiniSize) -> nn.Module:
    return nn.Sequential(Linear(4 * size.width, size.hidden), nn.GELU(), Linear(size.hidden, size.embedding))
