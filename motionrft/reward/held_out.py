"""What a trained reward is saved with besides its weights: how real motion scores, and what it knows.

Both come from the same road that `motionrft score` takes, with clips that the reward was not trained on.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.files import Motion
from motionrft.reward.known import Known, activity, text_place
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.quantiles import HeldOut
from motionrft.reward.scoring import Query, Score, Scorer, choose_terms
from motionrft.training.seeds import generator_for

SAMPLE = 1024
"""Clips that are looked at, of each split: enough for whole per cents."""
_BATCH = 64


def add_references(reward: MotionReward, train: MotionDataset, held_out: MotionDataset) -> None:
    """Give a reward its percentile tables (in `about`) and what it knows of its training set (`known`)."""
    weights, reward.weights = reward.weights, dict.fromkeys(reward.terms, 1.0)
    reward.about.pop("quantiles", None)
    reward.about["held_out"] = held_out_scores(reward, held_out).plain()
    reward.known = Known.of_training(_material(reward, train), _material(reward, held_out))
    reward.known_in = reward.representation
    reward.weights = weights


@torch.no_grad()
def held_out_scores(reward: MotionReward, data: MotionDataset) -> HeldOut:
    """Where every term, physics included, lies over real clips with their own first captions."""
    scorer = Scorer(reward, choose_terms(None, reward))
    scores: dict[str, list[float]] = {}
    for found in scorer.score(_queries(data, reward.representation)):
        assert isinstance(found, Score), found
        for name, value in found.scores.items():
            if value is not None:
                scores.setdefault(name, []).append(value)
    return HeldOut.of_scores(scores, data.split)


def _queries(data: MotionDataset, representation: str) -> Iterator[Query]:
    for item in _sampled(data):
        clip = data.items[item]
        array = data.motion(item, representation).numpy()
        motion = Motion(array, representation, data.fps, data.folder / clip.key)
        yield Query(motion, clip.captions[0].text)


@torch.no_grad()
def _material(reward: MotionReward, data: MotionDataset) -> tuple[Tensor, Tensor]:
    """Texts (N, E) and activities (M, F) of a split."""
    device = next(reward.network.parameters()).device
    order, texts = _sampled(data), data.texts
    draws = torch.randperm(len(texts), generator=generator_for(0, "known"))[: 4 * SAMPLE].tolist()
    chosen = [texts[place] for place in draws]
    places = [
        text_place(reward.text_encoder.encode(chosen[i : i + _BATCH])) for i in range(0, len(chosen), _BATCH)
    ]
    activities = []
    for start in range(0, len(order), _BATCH):
        motion, lengths = pad([data.motion(i, reward.representation) for i in order[start : start + _BATCH]])
        motion, lengths = motion.to(device), lengths.to(device)
        activities.append(activity(reward.normalise(motion, lengths, reward.representation), lengths))
    return torch.cat(places), torch.cat(activities)


def _sampled(data: MotionDataset) -> list[int]:
    """Which clips are looked at, in a fixed random order."""
    return torch.randperm(len(data), generator=generator_for(0, "quantiles"))[:SAMPLE].tolist()
