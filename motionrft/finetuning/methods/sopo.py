"""SoPo: recorded motions preferred to the generator's own bad samples (Tan et al. 2025, arXiv 2412.05095).

Preferred is the ground truth, offline; unpreferred is the worst of the current model's samples, online, and only
where it is bad enough. The further the samples are from the truth, the more the truth counts. Noise is shared by all
four errors, as the article's lemmas have it; the released byte code draws it anew in each.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.finetuning.methods.sft import plan

__all__ = ["METHOD", "SopoPreset", "plan"]


class SopoPreset(MethodPreset):
    method: Literal["sopo"] = "sopo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward", "motion"})
    variant: Literal["sopo", "dsopo", "usopo", "weighted"] = Field(
        "sopo",
        description="sopo; or an ablation of the article: usopo (threshold alone), weighted (weight alone), dsopo "
        "(neither)",
    )
    candidates: int = Field(
        2,
        ge=1,
        le=10_000,
        description="samples of each prompt, the worst of which is unpreferred; the article has 4 for MDM",
    )
    tau: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="a sample counts as bad below this score on [0, 1] (cosine / 2 + 0.5; the article's 0.45 is a "
        "cosine of -0.1); auto: the quantile below of the untuned generator's worst samples",
    )
    quantile: float = Field(
        0.5, ge=0, le=1, description="share of the worst samples that tau: auto lets count as bad"
    )
    c: float = Field(2.0, gt=0, description="weight of the truth: c minus its similarity to the samples")
    beta: float = Field(1.0, gt=0, description="scale of the error differences")
    scale: float = Field(1.0, gt=0, description="T omega of the article, one more scale; its code has 1")

    @property
    def selects(self) -> bool:
        """Whether only samples below tau are unpreferred."""
        return self.variant in ("sopo", "usopo")

    @property
    def reads(self) -> tuple[str, ...]:
        return ("semantic", "similarity") if self.weighs else ("semantic",)

    @property
    def weighs(self) -> bool:
        """Whether the truth counts the more, the further the samples are from it."""
        return self.variant in ("sopo", "weighted")


METHOD = Method(SopoPreset, plan, "motionrft.finetuning.preference:sopo")
