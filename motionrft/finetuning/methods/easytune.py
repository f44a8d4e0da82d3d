"""EasyTune: one update a step, on a cut trajectory, so that memory does not grow with the number of steps.

The judged window follows the paper's curriculum (Eq. 25): it begins at the noisiest k steps, slides to the
cleanest k by the fraction `rho` of training, and stays there. Halves round to even, as Python's `round` does.
The trajectory ends with its window: nothing after it is judged.
"""

import random
from typing import Literal

from pydantic import Field

from motionrft.diffusion.plan import SAMPLE, Plan, StepPlan
from motionrft.finetuning.methods.base import Method, MethodPreset, check_fits


class EasyTunePreset(MethodPreset):
    method: Literal["easytune"] = "easytune"
    k: int = Field(10, ge=1, description="denoising steps judged, and updates made, in one trajectory")
    rho: float = Field(
        0.4,
        ge=0,
        le=1,
        description="fraction of training in which the window slides to the clean end; 0: at once",
    )
    judge: Literal["x0", "next"] = Field(
        "x0", description="x0: the clean prediction; next: the next state at its own noise level"
    )


def window(steps: int, k: int, rho: float, progress: float) -> range:
    """The k positions judged at this much of training (progress in [0, 1], clamped)."""
    swept = min(max(progress, 0.0) / rho, 1.0) if rho > 0 else 1.0
    start = round(swept * (steps - k))
    return range(start, start + k)


def plan(steps: int, preset: EasyTunePreset, progress: float, rng: random.Random) -> Plan:
    check_fits(preset.k, steps, "k")
    judged = window(steps, preset.k, preset.rho, progress)
    return tuple(
        StepPlan(graph=True, detach="all", reward=preset.judge, update="step", last=i == judged[-1])
        if i in judged
        else SAMPLE
        for i in range(steps)
    )


METHOD = Method(EasyTunePreset, plan)
