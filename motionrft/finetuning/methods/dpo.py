"""Preference optimisation, on own samples, the reward's best against its worst, or on given pairs.

Diffusion-DPO (Wallace et al. 2024) for diffusion generators; for those of motion tokens the losses of language models, as
InstructMotion (Sheng et al. 2024) and AToM (Han et al. 2024) use them.
"""

from typing import ClassVar, Literal

from pydantic import Field

from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.finetuning.methods.sft import plan

__all__ = ["METHOD", "DpoPreset", "plan"]

TokenLoss = Literal["sigmoid", "ipo", "hinge", "kto_pair"]


class DpoPreset(MethodPreset):
    method: Literal["dpo"] = "dpo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward"})
    takes_pairs: ClassVar[bool] = True
    candidates: int = Field(
        4, ge=2, description="samples of each prompt, of which best and worst are compared"
    )
    beta: float = Field(5000.0, gt=0, description="strength of the pull towards the untuned generator")
    margin: float = Field(0.0, ge=0, description="pairs whose rewards differ by less are left out")


METHOD = Method(DpoPreset, plan, "motionrft.finetuning.preference:dpo")
