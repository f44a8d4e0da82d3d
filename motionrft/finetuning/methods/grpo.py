"""GRPO on denoising steps: advantages within a group of samples of one prompt (Flow-GRPO, DanceGRPO).

DDPO's replay with another baseline: the group's own mean and deviation, so an easy prompt teaches as much as
a hard one. Groups whose rewards are all equal carry no gradient and are left out.
"""

from typing import Literal

from pydantic import Field

from motionrft.finetuning.methods.base import Method
from motionrft.finetuning.methods.ddpo import DdpoPreset, plan

__all__ = ["METHOD", "GrpoPreset", "plan"]


class GrpoPreset(DdpoPreset):
    method: Literal["grpo"] = "grpo"  # type: ignore[assignment]
    group: int = Field(8, ge=2, description="samples of each prompt")
    normalise: Literal["batch", "group"] = Field(
        "group", description="whose mean and deviation advantages use"
    )
    kl: float = Field(0.04, ge=0, description="weight of the distance to the untuned generator's steps")


METHOD = Method(GrpoPreset, plan, "motionrft.finetuning.policy:updates")
