"""GRPO on denoising steps, in two published variants: Flow-GRPO (Liu et al. 2025) and DanceGRPO (Xue et al. 2025).

DDPO's replay with samples of one prompt as each other's baseline. `flow` divides by the whole batch's deviation and
is pulled towards the untuned generator; groups whose rewards are all equal are left out. `dance` divides by the
group's own, begins all samples of a prompt with the same noise and trains on a random share of the steps. Each
variant is a set of defaults: whatever is set rules. The published pull belongs to the published form of the distance; the
other form is ten times as large at ten steps, and so its usual weight is a tenth.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from motionrft.finetuning.methods.base import Method
from motionrft.finetuning.methods.ddpo import DdpoPreset, plan

__all__ = ["METHOD", "GrpoPreset", "plan"]

VARIANTS: dict[str, dict[str, Any]] = {
    "flow": {"advantages": "flow", "kl": 0.04},
    "dance": {"advantages": "dance", "kl": 0.0, "shared_noise": True, "share": 0.6},
}
GAUSSIAN_PULL = 0.1
"""Of the published weight, for the divergence of two Gaussians: a step's share of time at ten steps."""


class GrpoPreset(DdpoPreset):
    method: Literal["grpo"] = "grpo"  # type: ignore[assignment]
    variant: Literal["flow", "dance"] = Field(
        "flow",
        description="whose defaults: Flow-GRPO's or DanceGRPO's; also says which noise flows are given",
    )
    group: int = Field(8, ge=2, description="samples of each prompt")
    kl: float = Field(
        0.04,
        ge=0,
        description="weight of the distance to the untuned generator's steps; a tenth with kl_form gaussian, if not set",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_the_variant(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        usual = VARIANTS.get(str(values.get("variant", "flow")), {})
        if usual and values.get("kl_form") == "gaussian":
            usual = {**usual, "kl": usual["kl"] * GAUSSIAN_PULL}
        return {**usual, **values}


METHOD = Method(GrpoPreset, plan, "motionrft.finetuning.policy:updates")
