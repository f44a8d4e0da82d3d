"""Where the scores of training clips lie, so that a score can be read as "better than 83 % of real clips"."""

import bisect
from collections.abc import Sequence

import torch

from motionrft.data import MotionDataset, pad
from motionrft.physics import physics_terms
from motionrft.representations.convert import convert
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.training.seeds import generator_for

STEPS = 100
SAMPLE = 1024
"""Clips looked at: enough for whole per cents."""


@torch.no_grad()
def training_quantiles(reward: MotionReward, data: MotionDataset, batch: int = 64) -> dict[str, list[float]]:
    """Quantiles 0 to 100 of each term, physics included, over training clips with their own first captions."""
    device = next(reward.network.parameters()).device
    order = torch.randperm(len(data), generator=generator_for(0, "quantiles"))[:SAMPLE]
    scores: dict[str, list[torch.Tensor]] = {}
    for items in order.split(batch):
        motion, lengths = pad([data.motion(int(item), reward.representation) for item in items])
        captions = [data.items[int(item)].captions[0].text for item in items]
        condition = reward.prepare(captions)
        terms = reward.raw_terms(motion.to(device), lengths.to(device), condition)
        joints = convert(motion, reward.representation, "joints", lengths)
        terms.update(
            physics_terms(joints.unflatten(-1, (-1, 3)) if joints.dim() == 3 else joints, lengths, data.fps)
        )
        for name, values in terms.items():
            scores.setdefault(name, []).append(values.float().cpu())
    levels = torch.linspace(0, 1, STEPS + 1)
    return {name: torch.cat(values).quantile(levels).tolist() for name, values in scores.items()}


def percentile(value: float, quantiles: Sequence[float]) -> float:
    """Per cent of the training clips that score below `value`, equals counted half, in steps of the table."""
    below, not_above = bisect.bisect_left(quantiles, value), bisect.bisect_right(quantiles, value)
    return 50.0 * (below + not_above) / len(quantiles)
