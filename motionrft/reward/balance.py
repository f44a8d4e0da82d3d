"""Weights that act: each term scaled by its spread on real motions, so that a weight of 1 means one deviation.

Raw terms have units of their own: a cosine, an unbounded score, a probability. The published weights are for those.
"""

from collections.abc import Mapping

import torch

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.reward.base import Learnt, Reward
from motionrft.reward.motionreward.motionreward import CONTRAST, SHARED_TERMS
from motionrft.reward.opposites import unsaid
from motionrft.reward.quantiles import HeldOut
from motionrft.training.seeds import generator_for

SAMPLE = 256
"""Real clips that spreads are measured on, for a reward that was saved without a table of real scores."""
_SMALLEST = 1e-6
_BATCH = 32


def balanced(reward: Reward, data: MotionDataset | None) -> dict[str, float]:
    """Divide the weight of every term by its spread on real motions, in place; returns the weights that act.

    All are multiplied by the semantic term's spread (or the first term's), so that its weight stays what was asked.

    Args:
        reward: its parts' weights are changed.
        data: real motions, for what the reward's own table does not say; None where there are none.

    Raises:
        UserError: a term's spread is not known and cannot be measured, or the term does not vary.
    """
    weights = reward.term_weights
    spreads = _known(reward)
    if any(name not in spreads for name in weights) and data is not None:
        spreads = measured(reward, data) | spreads
    unknown = [name for name in weights if name not in spreads]
    if unknown:
        raise UserError(
            f"balance: the spread of {unknown[0]} on real motions is not known: this reward was saved without it, and "
            f"{'no data is named' if data is None else 'the data does not tell it'}. Name real motions with --data whose "
            "captions it knows something of, or set weights by hand."
        )
    still = [name for name in weights if spreads[name] < _SMALLEST]
    if still:
        raise UserError(
            f"balance: {still[0]} does not vary on real motions; leave it out: --set weights.{still[0]}=0"
        )
    unit = spreads["semantic" if "semantic" in weights else next(iter(weights))]
    for part in _parts(reward):
        part.weights = {name: weight * unit / spreads[name] for name, weight in part.term_weights.items()}
    return reward.term_weights


@torch.no_grad()
def measured(reward: Reward, data: MotionDataset) -> dict[str, float]:
    """Standard deviation of each term over real clips with their own first captions, where it knows something of them."""
    order = torch.randperm(len(data), generator=generator_for(0, "spread"))[:SAMPLE]
    values: dict[str, list[torch.Tensor]] = {}
    for items in order.split(_BATCH):
        motion, lengths = pad([data.motion(int(item), reward.representation) for item in items])  # (B, T, D)
        texts = [data.items.text(int(item)) for item in items]
        condition = reward.prepare(texts)
        device = _device(reward)
        for name, value in reward(motion.to(device), lengths.to(device), condition.to(device))[1].items():
            known = torch.tensor([name != CONTRAST or bool(unsaid(text)) for text in texts])  # (B,)
            values.setdefault(name, []).append(value.float().cpu()[known])
    found = {name: torch.cat(parts) for name, parts in values.items()}
    return _with_similarity({name: float(each.std()) for name, each in found.items() if len(each) > 1})


def _known(reward: Reward) -> dict[str, float]:
    """Spreads by the tables that parts of a reward were saved with."""
    found: dict[str, float] = {}
    for part in _parts(reward):
        quantiles = HeldOut.of_reward(getattr(part, "about", {})).quantiles
        found |= {name: float(torch.tensor(levels).std(correction=0)) for name, levels in quantiles.items()}
    return _with_similarity(found)


def _with_similarity(spreads: Mapping[str, float]) -> dict[str, float]:
    """Both shared terms are cosines of one embedding; a real motion has no reference of its own to differ from."""
    text, motion = SHARED_TERMS
    return {motion: spreads[text], **spreads} if text in spreads else dict(spreads)


def _parts(reward: Reward) -> list[Learnt]:
    return [part for part in reward.modules() if isinstance(part, Reward) and "weights" in vars(part)]  # type: ignore[misc]


def _device(reward: Reward) -> torch.device:
    return next((tensor.device for tensor in reward.state_dict().values()), torch.device("cpu"))
