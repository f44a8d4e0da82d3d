"""DDPO: policy gradient through replayed log-probabilities (Black et al. 2024).

No reward gradient is needed. A batch is sampled with stochastic steps and stored, rewards become advantages
over the batch, and the stored steps are replayed under the changing weights with a clipped ratio. Clipping is
that tight because log-probabilities are averaged over dimensions. Unlike the authors' code, advantages use
the batch's statistics alone, not a history of each prompt's rewards.
"""

import random
from typing import ClassVar, Literal

from pydantic import Field

from motionrft.diffusion.plan import Plan, sampling_plan
from motionrft.finetuning.methods.base import Method, MethodPreset


class DdpoPreset(MethodPreset):
    method: Literal["ddpo"] = "ddpo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward", "noise"})
    group: int = Field(1, ge=1, description="samples of each prompt")
    normalise: Literal["batch", "group"] = Field(
        "batch", description="whose mean and deviation advantages use"
    )
    updates: int = Field(2, ge=1, description="optimiser steps a batch of samples is divided into")
    epochs: int = Field(1, ge=1, description="passes over a stored batch")
    clip: float = Field(1e-4, gt=0, description="the probability ratio is clipped to 1 +- clip")
    advantage_clip: float = Field(5.0, gt=0, description="largest advantage, in deviations")
    kl: float = Field(0.0, ge=0, description="weight of the distance to the untuned generator's steps")


def plan(steps: int, preset: DdpoPreset, progress: float, rng: random.Random) -> Plan:
    return sampling_plan(steps)


METHOD = Method(DdpoPreset, plan, "motionrft.finetuning.policy:updates")
