"""How much of what moves the weights comes from each term of the reward: logged as `share/TERM`.

A weight says little: the terms have units of their own, and at the published 0.002 two of the four give a hundredth of
the gradient. Measured at the first judgement of each trajectory, which costs a backward through the reward for each
term but the last.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.rollout import RewardFunction


class GradientShares:
    """A reward that measures, when asked, the size of each weighed term's gradient at the motions it is shown.

    Args:
        reward: what is measured, and answers.
        weights: of its terms.
    """

    def __init__(self, reward: RewardFunction, weights: Mapping[str, float]) -> None:
        self.reward, self.weights = reward, weights
        self.wanted = False
        self.found: dict[str, Tensor] = {}

    def __call__(
        self, motion: Tensor, lengths: Tensor, condition: Any, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        total, terms = self.reward(motion, lengths, condition, t)
        # A compiled judgement cannot stop to differentiate.
        if not torch.compiler.is_compiling() and self.wanted and motion.requires_grad:
            self.wanted = False
            self.found = gradient_shares(motion, terms, self.weights)
        return total, terms

    def ask(self) -> None:
        """Measure at the next judgement that has a gradient."""
        self.wanted, self.found = True, {}

    def taken(self) -> dict[str, Tensor]:
        """What was measured since `ask`, once; nothing where no judgement had a gradient."""
        found, self.wanted, self.found = self.found, False, {}
        return found


def gradient_shares(
    motion: Tensor, terms: Mapping[str, Tensor], weights: Mapping[str, float]
) -> dict[str, Tensor]:
    """Each weighed term's part, (), of the sum of their gradients' sizes at motions (B, T, D).

    A size is the mean over the batch of the gradient's norm. The parts sum to 1, unless there is no gradient at all.
    """
    sizes = {}
    for name, value in terms.items():
        weighed = value.sum() * weights.get(name, 1.0)
        gradient = None
        if weighed.requires_grad:
            (gradient,) = torch.autograd.grad(weighed, motion, retain_graph=True, allow_unused=True)
        none = motion.new_zeros(())
        sizes[name] = none if gradient is None else gradient.flatten(1).norm(dim=1).mean()  # ()
    return _parts(sizes)


def spread_shares(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Each weighed term's part of the sum of their spreads over a batch: what a method learns from that compares
    motions and needs no gradient."""
    return _parts(
        {
            name: value.detach().float().std(correction=0) * abs(weights.get(name, 1.0))
            for name, value in terms.items()
        }
    )


def _parts(sizes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not sizes:
        return {}
    total = torch.stack(list(sizes.values())).sum().clamp(min=1e-12)  # ()
    return {f"share/{name}": size.detach() / total for name, size in sizes.items()}
