"""GRPO (Shao et al. 2024). Of diffusion, on denoising steps, in two published variants: Flow-GRPO (Liu et al. 2025) and
DanceGRPO (Xue et al. 2025); of motion tokens on each token, as of a language model.

DDPO's replay with samples of one prompt as each other's baseline. `flow` divides by the whole batch's deviation and
is pulled towards the untuned generator; groups whose rewards are all equal are left out. `dance` divides by the
group's own, begins all samples of a prompt with the same noise and trains on a random share of the steps. Each
variant is a set of defaults: whatever is set rules. The published pull belongs to the published form of the distance; the
other form is ten times as large at ten steps, and so its usual weight is a tenth.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from motionrft.finetuning.methods.base import Method
from motionrft.finetuning.methods.ddpo import DdpoPreset, plan
from motionrft.generators.kinds import Kind

__all__ = ["METHOD", "GrpoPreset", "plan"]

VARIANTS: dict[str, dict[str, Any]] = {
    "flow": {"advantages": "flow", "kl": 0.04},
    "dance": {"advantages": "dance", "kl": 0.0, "shared_noise": True, "share": 0.6},
}
GAUSSIAN_PULL = 0.1
"""Of the published weight, for the divergence of two Gaussians: a step's share of time at ten steps."""


DENOISING_CLIP, TOKEN_CLIP = 1e-4, 0.2
"""Of log-probabilities that are means over a state's numbers, and of those of tokens (Schulman et al. 2017)."""


class GrpoPreset(DdpoPreset):
    method: Literal["grpo"] = "grpo"  # type: ignore[assignment]
    fits: ClassVar[frozenset[Kind]] = frozenset({"diffusion", "tokens"})
    variant: Literal["flow", "dance"] = Field(
        "flow",
        description="whose defaults: Flow-GRPO's or DanceGRPO's; also says which noise flows are given",
    )
    group: int = Field(8, ge=2, description="samples of each prompt")
    clip: float | None = Field(  # type: ignore[assignment]
        None,
        gt=0,
        description="the probability ratio is clipped to 1 +- clip; null: 1e-4 of denoising steps, 0.2 of tokens",
    )
    kl: float = Field(
        0.04,
        ge=0,
        description="weight of the distance to the untuned generator's steps, or tokens; a tenth with kl_form gaussian, "
        "if not set",
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

    def clip_range(self, kind: Kind) -> float:
        usual = TOKEN_CLIP if kind == "tokens" else DENOISING_CLIP
        return usual if self.clip is None else self.clip


METHOD = Method(GrpoPreset, plan, "motionrft.finetuning.policy:updates")
