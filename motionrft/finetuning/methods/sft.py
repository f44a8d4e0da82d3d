"""Supervised fine-tuning: the generator's own loss on recorded motions, the baseline without a reward."""

import random
from typing import ClassVar, Literal

from pydantic import Field

from motionrft.diffusion.plan import Plan, sampling_plan
from motionrft.finetuning.methods.base import Method, MethodPreset
from motionrft.generators.kinds import Kind


class SftPreset(MethodPreset):
    method: Literal["sft"] = "sft"
    needs: ClassVar[frozenset[str]] = frozenset({"motion"})
    fits: ClassVar[frozenset[Kind]] = frozenset({"diffusion", "tokens"})
    drop_text: float = Field(
        0.1,
        ge=0,
        le=1,
        description="probability that a prompt is replaced by the null prompt, where there is one",
    )


def plan(steps: int, preset: MethodPreset, progress: float, rng: random.Random) -> Plan:
    return sampling_plan(steps)


METHOD = Method(SftPreset, plan, "motionrft.finetuning.supervised:updates")
