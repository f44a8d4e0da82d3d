"""EasyTune with chain optimisation: the k updates go to a second copy of the weights.

The sampling policy is fixed within a trajectory, so all k gradients are taken at one point; the next
trajectory starts from the learner's weights. This is not one update on the summed gradient: the optimiser
steps k times.
"""

import random
from dataclasses import replace
from typing import Literal

from motionrft.diffusion.plan import Plan
from motionrft.finetuning.methods import easytune
from motionrft.finetuning.methods.base import Method


class EasyTuneChainPreset(easytune.EasyTunePreset):
    method: Literal["easytune-chain"] = "easytune-chain"  # type: ignore[assignment]


def plan(steps: int, preset: EasyTuneChainPreset, progress: float, rng: random.Random) -> Plan:
    stepwise = easytune.plan(steps, preset, progress, rng)
    return tuple(replace(step, update="chain") if step.update else step for step in stepwise)


METHOD = Method(EasyTuneChainPreset, plan)
