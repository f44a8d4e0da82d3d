"""AlignProp: gradient through a random suffix of the trajectory, recomputed (Prabhudesai et al. 2023).

The step at which gradient begins is drawn anew for every trajectory from a normal distribution around 84 % of
the steps (42 of 50 in the authors' code) or uniformly. With `coin`, each step carries gradient with that
probability instead: the estimator that MotionRFT's comparison calls AlignProp.
"""

import random
from typing import Literal

from pydantic import Field

from motionrft.diffusion.plan import Plan, StepPlan
from motionrft.finetuning.methods.base import Method, MethodPreset


class AlignPropPreset(MethodPreset):
    method: Literal["alignprop"] = "alignprop"
    recompute: bool = Field(
        True, description="recompute each network call in backward, as the method's authors do"
    )
    start: Literal["normal", "uniform"] = Field(
        "normal", description="how the first step with gradient is drawn"
    )
    mean: float = Field(0.84, ge=0, le=1, description="centre of the normal draw, as a fraction of the steps")
    std: float = Field(0.1, ge=0, description="spread of the normal draw, as a fraction of the steps")
    coin: float | None = Field(
        None, gt=0, le=1, description="probability of gradient, independently for each step"
    )


def carriers(steps: int, preset: AlignPropPreset, rng: random.Random) -> list[bool]:
    """Which positions run under autograd in this trajectory."""
    if preset.coin is not None:
        return [rng.random() < preset.coin for _ in range(steps)]
    legal = range(min(1, steps - 1), steps)
    if preset.start == "uniform":
        first = rng.choice(legal)
    else:
        draws = (int(rng.gauss(preset.mean * steps, preset.std * steps)) for _ in range(100))
        first = next((draw for draw in draws if draw in legal), legal[-1])
    return [i >= first for i in range(steps)]


def plan(steps: int, preset: AlignPropPreset, progress: float, rng: random.Random) -> Plan:
    *before, end = carriers(steps, preset, rng)
    judged = StepPlan(graph=end, reward="next", update="step", last=True)
    return (*(StepPlan(graph=graph) for graph in before), judged)


METHOD = Method(AlignPropPreset, plan)
