"""Embeddings of a whole split: what validation and self-refinement read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.moving import moved
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.training.distribution import ALONE, Distribution


@torch.no_grad()
def embed_motions(
    reward: MotionReward,
    data: MotionDataset,
    representation: str,
    batch: int = 64,
    company: Distribution = ALONE,
) -> Tensor:
    """(N, L) means of every item of the data set, in its order. Clips of like length share a batch, and each process
    of a company takes some batches.
    """
    network = reward.network
    device = next(network.parameters()).device
    means = torch.zeros(len(data), network.size.latent)  # (N, L)
    batches = torch.argsort(data.lengths).split(batch)[company.place :: company.processes]
    with _evaluating(network):
        for number, items in enumerate(batches, 1):
            motion, lengths = pad([data.motion(int(item), representation) for item in items])
            if number < len(batches):
                data.expect(batches[number], (representation,))
            motion, lengths = moved(motion, device), moved(lengths, device)  # (B, T, F), (B,)
            gaussian = network.encode_motion(
                reward.normalise(motion, lengths, representation), lengths, representation, 0
            )
            means[items] = gaussian.mean.float().cpu()
    for items, part in company.gather((torch.cat([*batches, torch.empty(0, dtype=torch.int64)]), means)):
        means[items] = part[items]
    return means


@torch.no_grad()
def embed_texts(reward: MotionReward, texts: Sequence[str], batch: int = 256) -> Tensor:
    """(N, L) means of the texts."""
    network = reward.network
    device = next(network.parameters()).device
    parts = []
    with _evaluating(network):
        for start in range(0, len(texts), batch):
            features = reward.text_encoder.encode(texts[start : start + batch]).to(device)  # (B, L, D) tokens
            parts.append(network.encode_text(features.tokens, features.mask, 0).mean.float().cpu())
    return torch.cat(parts)  # (N, L)


class _evaluating:
    """Eval mode inside, the former mode after."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.was = self.module.training
        self.module.eval()

    def __exit__(self, *exception: object) -> None:
        self.module.train(self.was)
