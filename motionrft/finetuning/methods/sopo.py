"""SoPo: recorded motions preferred to the generator's own bad samples (Tan et al. 2024).

Preferred is the ground truth, offline; unpreferred is the worse of the current model's samples, online, and only
where it is bad enough. The further the samples are from the truth, the more the truth counts. Noise is shared by
all four errors and the reference has no graph: the published code's expectation, with less variance.
"""

from typing import ClassVar, Literal

from pydantic import Field

from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.finetuning.methods.sft import plan

__all__ = ["METHOD", "SopoPreset", "plan"]


class SopoPreset(MethodPreset):
    method: Literal["sopo"] = "sopo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward", "motion"})
    candidates: int = Field(
        2, ge=1, le=10_000, description="samples of each prompt, the worst of which is unpreferred"
    )
    tau: float = Field(
        0.45, ge=0, le=1, description="a sample counts as bad below this similarity to its text"
    )
    c: float = Field(2.0, gt=0, description="weight of the truth: c minus its similarity to the samples")
    beta: float = Field(1.0, gt=0, description="scale of the error differences")


METHOD = Method(SopoPreset, plan, "motionrft.finetuning.preference:sopo")
