"""Preference optimisation, on own samples, the reward's best against its worst, or on given pairs.

Diffusion-DPO (Wallace et al. 2024) for diffusion generators; for those of motion tokens the losses of language models, as
InstructMotion (Sheng et al. 2024) and AToM (Han et al. 2024) use them.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.finetuning.methods.sft import plan
from motionrft.generators.kinds import Kind

__all__ = ["METHOD", "DpoPreset", "plan"]

TokenLoss = Literal["sigmoid", "ipo", "hinge", "kto_pair"]


DENOISING_BETA, TOKEN_BETA = 5000.0, 0.1
"""Of denoising errors (Wallace et al. 2024), and of log-probabilities (Sheng et al. 2024, Han et al. 2024)."""


class DpoPreset(MethodPreset):
    method: Literal["dpo"] = "dpo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward"})
    fits: ClassVar[frozenset[Kind]] = frozenset({"diffusion", "tokens"})
    takes_pairs: ClassVar[bool] = True
    candidates: int = Field(
        4, ge=2, description="samples of each prompt, of which best and worst are compared"
    )
    beta: float | None = Field(
        None,
        gt=0,
        description="strength of the pull towards the untuned generator; null: 5000 of denoising errors, 0.1 of tokens",
    )
    margin: float = Field(0.0, ge=0, description="pairs whose rewards differ by less are left out")
    loss: TokenLoss = Field("sigmoid", description="of motion tokens: which loss (sigmoid is DPO's own)")
    average: bool | None = Field(
        None,
        description="of motion tokens: mean log-probability a token instead of the sum; null: as published, with ipo",
    )
    smoothing: Literal["degree"] | Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="of motion tokens, loss sigmoid: probability that a pair is the wrong way round; degree: by "
        "the pair's own words for how much better",
    )
    guard: float = Field(
        0.0,
        ge=0,
        description="of motion tokens: weight of what the better motions lost of their own likelihood, nats a token",
    )
    fresh: int = Field(
        0,
        ge=0,
        description="of motion tokens: updates after which the prompts' candidates are sampled and judged anew; 0: never",
    )

    @model_validator(mode="after")
    def _smoothing_has_a_loss(self) -> Self:
        if self.smoothing and self.loss != "sigmoid":
            raise ValueError(f"method.smoothing is for the loss sigmoid; {self.loss} has none")
        return self

    @property
    def averages(self) -> bool:
        """Whether log-probabilities are means over tokens."""
        return self.loss == "ipo" if self.average is None else self.average

    def strength(self, kind: Kind) -> float:
        """Beta for a kind of generator."""
        usual = TOKEN_BETA if kind == "tokens" else DENOISING_BETA
        return usual if self.beta is None else self.beta


METHOD = Method(DpoPreset, plan, "motionrft.finetuning.preference:dpo")
