"""DRTune: evenly spaced steps carry gradient, the network's input is cut at every step, the end comes early.

Gradient reaches a selected step along the sampler's linear path only (Wu et al. 2024). Where the drawn end
comes before a selected position, that position is never reached, as in MotionRFT's comparison.
"""

import random
from typing import Literal

from pydantic import Field

from motionrft.diffusion.plan import Plan, StepPlan
from motionrft.finetuning.methods.base import Method, MethodPreset, check_fits


class DRTunePreset(MethodPreset):
    method: Literal["drtune"] = "drtune"
    k: int = Field(5, ge=1, description="denoising steps that carry gradient, evenly spaced")
    m: int = Field(10, ge=1, description="the trajectory ends at a step drawn from the last m")


def plan(steps: int, preset: DRTunePreset, progress: float, rng: random.Random) -> Plan:
    check_fits(preset.k, steps, "k")
    check_fits(preset.m, steps, "m")
    stride = steps // preset.k
    offset = rng.randint(0, steps - preset.k * stride)
    selected = range(offset, offset + preset.k * stride, stride)
    stop = rng.randrange(steps - preset.m, steps)
    return tuple(
        StepPlan(graph=i in selected, detach="net", reward="x0", update="step", last=True)
        if i == stop
        else StepPlan(graph=i in selected, detach="net")
        for i in range(steps)
    )


METHOD = Method(DRTunePreset, plan)
