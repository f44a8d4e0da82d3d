"""All fine-tuning methods, one line each: settings and plan. Free of torch."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from motionrft.diffusion.plan import Plan
from motionrft.finetuning.methods import (
    alignprop,
    ddpo,
    dpo,
    draft,
    drtune,
    easytune,
    easytune_chain,
    grpo,
    refl,
    sft,
    sopo,
)
from motionrft.finetuning.methods.base import MethodPreset

TRAJECTORY = "motionrft.finetuning.trajectory:updates"
"""The objective of every method whose plan says it all."""


@dataclass(frozen=True)
class Method:
    """A method is its settings and a pure function (steps, settings, training progress, rng) -> plan.

    objective: where a batch is turned into gradients, `module:function`; loaded when training starts.
    """

    preset: type[MethodPreset]
    plan: Callable[..., Plan]
    objective: str = TRAJECTORY

    @property
    def judges(self) -> bool:
        """Whether the plan itself says what is judged and when the weights move."""
        return self.objective == TRAJECTORY


METHODS: dict[str, Method] = {
    "easytune": Method(easytune.EasyTunePreset, easytune.plan),
    "easytune-chain": Method(easytune_chain.EasyTuneChainPreset, easytune_chain.plan),
    "refl": Method(refl.ReflPreset, refl.plan),
    "draft": Method(draft.DraftPreset, draft.plan),
    "alignprop": Method(alignprop.AlignPropPreset, alignprop.plan),
    "drtune": Method(drtune.DRTunePreset, drtune.plan),
    "ddpo": Method(ddpo.DdpoPreset, ddpo.plan, "motionrft.finetuning.policy:updates"),
    "grpo": Method(grpo.GrpoPreset, grpo.plan, "motionrft.finetuning.policy:updates"),
    "sopo": Method(sopo.SopoPreset, sopo.plan, "motionrft.finetuning.preference:sopo"),
    "dpo": Method(dpo.DpoPreset, dpo.plan, "motionrft.finetuning.preference:dpo"),
    "sft": Method(sft.SftPreset, sft.plan, "motionrft.finetuning.supervised:updates"),
}


def plan_of(preset: MethodPreset, steps: int, progress: float, rng: random.Random) -> Plan:
    """The plan of one trajectory of `steps` denoising steps, at `progress` in [0, 1] of training."""
    return METHODS[preset.method].plan(steps, preset, progress, rng)  # type: ignore[attr-defined]
