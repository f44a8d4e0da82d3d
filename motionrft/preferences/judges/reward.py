"""Any reward as a judge: the value of its terms, brought to [0, 1] by their declared range."""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.errors import UserError
from motionrft.loading import load_reward, reward_identity
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.reward.base import Reward


class RewardJudge(Judge):
    """A reward that reads joints at the candidates' rate.

    Args:
        reward: as `--reward` names it. weights: its terms; text and motion alone by default.
    """

    name, at_once = "reward", 32

    def __init__(
        self, reward: str, weights: dict[str, float] | None = None, device: torch.device | str = "cpu"
    ):
        self.reward, self.weights, self.device = reward, weights or {"semantic": 1.0}, torch.device(device)
        self.identity_of_reward = reward_identity(reward)
        self._models: dict[float, Reward] = {}
        """Loaded, by the rate that they read."""

    @property
    def identity(self) -> str:
        return f"reward-{self.identity_of_reward[:16]}-{sorted(self.weights.items())}"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        for fps in {item.fps for item in items} - set(self._models):
            self._models[fps] = load_reward(self.reward, self.weights, "joints", fps=fps, device=self.device)
        for start in range(0, len(items), self.at_once):
            for fps, model in self._models.items():
                places = [
                    place
                    for place in range(start, min(start + self.at_once, len(items)))
                    if items[place].fps == fps
                ]
                if places:
                    yield from self._part(model, items, places)

    @torch.no_grad()
    def _part(
        self, model: Reward, items: Sequence[Item], places: list[int]
    ) -> Iterator[tuple[int, Judgement]]:
        began = time.perf_counter()
        motion, lengths = pad([torch.from_numpy(items[place].joints).flatten(1).float() for place in places])
        condition = model.prepare([items[place].prompt.text for place in places]).to(self.device)
        _, terms = model(motion.to(self.device), lengths.to(self.device), condition)  # each (B,)
        scaled = [weight * _scaled(model, name, terms[name]) for name, weight in self.weights.items()]
        scores = torch.stack(scaled).sum(0) / sum(self.weights.values())  # (B,)
        seconds = (time.perf_counter() - began) / len(places)
        for row, place in enumerate(places):
            raw = {name: float(terms[name][row]) for name in self.weights}
            yield place, Judgement(float(scores[row]), raw, seconds)


def _scaled(model: Reward, name: str, values: Tensor) -> Tensor:
    """(B,) in [0, 1] by the term's declared range.

    Raises:
        UserError: the term has none, so its values say nothing of how good a motion is.
    """
    if name not in model.ranges:
        known = ", ".join(model.ranges) or "none"
        raise UserError(f"judge: the term {name} has no range; terms with one: {known}.")
    low, high = model.ranges[name]
    return ((values - low) / (high - low)).clamp(0, 1)
