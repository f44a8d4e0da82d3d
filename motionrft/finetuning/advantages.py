"""Rewards as advantages: how much better a sample did than a baseline, five ways to choose that baseline.

`batch`: mean and deviation of the whole batch. `history`: of a prompt's recent rewards (ddpo-pytorch). `group`, `flow`
and `dance` subtract the mean of the samples of one prompt; they divide by the group's deviation, by the whole batch's
(Flow-GRPO's default) or by the group's unbiased one (DanceGRPO). Nothing is clipped here.
"""

from collections.abc import Callable

import torch
from torch import Tensor

BATCH_EPSILON, HISTORY_EPSILON, FLOW_EPSILON, DANCE_EPSILON = 1e-8, 1e-6, 1e-4, 1e-8
"""Added to a deviation, each as published."""


def batch_advantages(rewards: Tensor, group: int = 1) -> Tensor:
    """(N,) deviations from the mean of all, in population deviations of all."""
    return (rewards - rewards.mean()) / (rewards.std(correction=0) + BATCH_EPSILON)  # (N,)


def group_advantages(rewards: Tensor, group: int) -> Tensor:
    """(N,) deviations from the group's mean, in the group's population deviation + 1e-4."""
    grouped = rewards.view(-1, group)  # (groups, group)
    return (_centred(grouped) / (grouped.std(1, correction=0, keepdim=True) + FLOW_EPSILON)).flatten()  # (N,)


def flow_advantages(rewards: Tensor, group: int) -> Tensor:
    """(N,) deviations from the group's mean, in the population deviation of the whole batch + 1e-4."""
    grouped = rewards.view(-1, group)  # (groups, group)
    return (_centred(grouped) / (rewards.std(correction=0) + FLOW_EPSILON)).flatten()  # (N,)


def dance_advantages(rewards: Tensor, group: int) -> Tensor:
    """(N,) deviations from the group's mean, in the group's unbiased deviation + 1e-8; `group` is at least 2."""
    grouped = rewards.view(-1, group)  # (groups, group)
    return (_centred(grouped) / (grouped.std(1, keepdim=True) + DANCE_EPSILON)).flatten()  # (N,)


ADVANTAGES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "batch": batch_advantages,
    "group": group_advantages,
    "flow": flow_advantages,
    "dance": dance_advantages,
}
"""By the name a preset gives; each takes (N,) rewards, samples of one prompt consecutive, and their number a prompt.
`history`, which remembers, is `RewardHistory`."""


class RewardHistory:
    """Each prompt's newest rewards, and advantages against them (ddpo-pytorch's per-prompt statistics).

    Args:
        size: rewards kept a prompt.
        least: with fewer, the mean and deviation of the whole batch serve.
        rewards: what is remembered so far, by prompt; it is added to in place.
    """

    def __init__(self, size: int, least: int, rewards: dict[int, list[float]] | None = None):
        self.size, self.least = size, least
        self.rewards = {} if rewards is None else rewards

    def advantages(self, rewards: Tensor, prompts: Tensor) -> Tensor:
        """(N,) advantages of new rewards (N,); `prompts` (N,) int64 says whose they are.

        A reward enters its prompt's history first, so it is part of its own baseline, as published.
        """
        owners = prompts.tolist()
        for prompt, reward in zip(owners, rewards.tolist(), strict=True):
            self.rewards[prompt] = [*self.rewards.get(prompt, []), reward][-self.size :]
        whole = (rewards.mean(), rewards.std(correction=0) + HISTORY_EPSILON)
        baselines = {prompt: self._baseline(prompt, rewards) or whole for prompt in set(owners)}
        mean, std = (torch.stack([baselines[prompt][part] for prompt in owners]) for part in (0, 1))
        return (rewards - mean) / std  # (N,)

    def _baseline(self, prompt: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
        kept = self.rewards[prompt]
        if len(kept) < self.least:
            return None
        known = like.new_tensor(kept)  # (n,)
        return known.mean(), known.std(correction=0) + HISTORY_EPSILON


def _centred(grouped: Tensor) -> Tensor:
    """Deviations from each row's mean; exactly zero where a row's rewards are equal, whatever the mean rounds to."""
    centred = grouped - grouped.mean(1, keepdim=True)  # (groups, group)
    return torch.where(grouped.amax(1, keepdim=True) == grouped.amin(1, keepdim=True), 0.0, centred)
