"""DRaFT-K and DRaFT-LV: gradient through the last K denoising steps (Clark et al. 2024).

LV lowers the variance of K = 1: the finished sample is re-noised `copies` times to the level of the last
step, which is repeated, judged and averaged over the copies.
"""

import random
from typing import Literal, Self

from pydantic import Field, model_validator

from motionrft.diffusion.plan import SAMPLE, Plan, StepPlan
from motionrft.finetuning.methods.base import Method, MethodPreset, check_fits


class DraftPreset(MethodPreset):
    method: Literal["draft"] = "draft"
    k: int = Field(1, ge=1, description="denoising steps that carry gradient, counted from the clean end")
    copies: int = Field(
        1, ge=1, le=10_000, description="re-noised copies of the last step (DRaFT-LV uses 2); needs k 1"
    )

    @model_validator(mode="after")
    def _copies_need_one_step(self) -> Self:
        if self.copies > 1 and self.k > 1:
            raise ValueError(
                f"copies {self.copies} repeats the last step only: it needs k 1, but k is {self.k}"
            )
        return self


def plan(steps: int, preset: DraftPreset, progress: float, rng: random.Random) -> Plan:
    check_fits(preset.k, steps, "k")
    judged = StepPlan(graph=True, reward="next", update="step", last=True, copies=preset.copies)
    return (SAMPLE,) * (steps - preset.k) + (StepPlan(graph=True),) * (preset.k - 1) + (judged,)


METHOD = Method(DraftPreset, plan)
