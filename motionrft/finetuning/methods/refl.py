"""ReFL-m: one random step near the clean end is judged by its clean prediction (Xu et al. 2023)."""

import random
from typing import Literal

from pydantic import Field

from motionrft.diffusion.plan import SAMPLE, Plan, StepPlan
from motionrft.finetuning.methods.base import Method, MethodPreset, check_fits


class ReflPreset(MethodPreset):
    method: Literal["refl"] = "refl"
    m: int = Field(10, ge=1, description="the judged step is drawn from the last m denoising steps")


def plan(steps: int, preset: ReflPreset, progress: float, rng: random.Random) -> Plan:
    check_fits(preset.m, steps, "m")
    stop = rng.randrange(steps - preset.m, steps)
    judged = StepPlan(graph=True, detach="all", reward="x0", update="step", last=True)
    return tuple(judged if i == stop else SAMPLE for i in range(steps))


METHOD = Method(ReflPreset, plan)
