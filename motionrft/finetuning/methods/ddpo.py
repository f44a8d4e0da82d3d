"""DDPO: policy gradient through replayed log-probabilities (Black et al. 2024).

No reward gradient is needed. A batch is sampled with stochastic steps and stored, rewards become advantages, and the
stored steps are replayed under the changing weights with a clipped ratio. Clipping is that tight because
log-probabilities are averaged over dimensions.

The defaults are not the published ones, which learn next to nothing on motion: positions are weighted by their
deviation, the steepest left out, and a prompt's samples are each other's baseline. `advantages: history`, `group: 1`,
`weight: equal` and `cut: null` are the authors' choices.
"""

import random
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from motionrft.diffusion.plan import Plan, sampling_plan
from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.generators.kinds import Kind


class DdpoPreset(MethodPreset):
    method: Literal["ddpo"] = "ddpo"
    needs: ClassVar[frozenset[str]] = frozenset({"reward", "noise"})
    group: int = Field(4, ge=1, le=10_000, description="samples of each prompt")
    advantages: Literal["flow", "group", "dance", "history", "batch"] = Field(
        "flow",
        description="baseline of a reward: the prompt's mean over the batch's deviation (flow), over its own (group), "
        "over its own unbiased one (dance); the prompt's rewards so far (history); the batch",
    )
    history: int = Field(
        32, ge=1, le=10_000, description="rewards a prompt remembers, for advantages: history"
    )
    least: int = Field(16, ge=1, description="remembered rewards below which the batch is the baseline")
    shared_noise: bool = Field(False, description="samples of a prompt begin with the same noise")
    updates: int = Field(1, ge=1, le=10_000, description="optimiser steps a batch of samples is divided into")
    epochs: int = Field(1, ge=1, le=10_000, description="passes over a stored batch")
    weight: Literal["deviation", "gain", "equal"] = Field(
        "deviation",
        description="weight of a denoising step: its deviation s, s over the prediction's coefficient b, or 1",
    )
    cut: float | None = Field(
        3.0, gt=0, description="steps whose b / s exceeds this many medians are left out; null: none"
    )
    share: float = Field(1.0, gt=0, le=1, description="share of the steps replayed, drawn anew every time")
    clip: float = Field(1e-4, gt=0, description="the probability ratio is clipped to 1 +- clip")
    advantage_clip: float = Field(5.0, gt=0, description="largest advantage, in deviations")
    kl: float = Field(0.0, ge=0, description="weight of the distance to the untuned generator's steps")
    kl_form: Literal["published", "gaussian"] = Field(
        "published",
        description="that distance as Flow-GRPO's code has it, or as the divergence of two Gaussians, larger by one "
        "over a step's share of time",
    )

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        """`normalise: batch|group` of the first release is `advantages: batch|group`."""
        if isinstance(values, dict) and "normalise" in values:
            values = {**values, "advantages": values["normalise"]}
            del values["normalise"]
        return values

    @model_validator(mode="after")
    def _a_baseline_needs_company(self) -> Self:
        if self.group == 1 and self.advantages in ("flow", "group", "dance"):
            raise ValueError(
                f"advantages {self.advantages} compares the samples of a prompt, but group is 1: raise group, "
                "or set advantages to history or batch"
            )
        if self.shared_noise and self.group == 1:
            raise ValueError("shared_noise is shared by the samples of a prompt, but group is 1")
        return self

    @property
    def updates_a_batch(self) -> int:
        return self.epochs * self.updates

    def clip_range(self, kind: Kind) -> float:
        """How far a probability ratio may go from 1, for a kind of generator."""
        return self.clip


def plan(steps: int, preset: DdpoPreset, progress: float, rng: random.Random) -> Plan:
    return sampling_plan(steps)


METHOD = Method(DdpoPreset, plan, "motionrft.finetuning.policy:updates")
