"""What a fine-tuning method says of each denoising step: the whole vocabulary of the reward methods."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StepPlan:
    """The answers of a method for one denoising step.

    graph: run the network under autograd.
    detach: cut the gradient: `net` for the network's input only (the sampler's linear path stays), `all` for the state.
    reward: judge nothing, `x0` (the clean prediction, as a clean motion) or `next` (the next state, at its own level).
    update: after judging: nothing, `grad` (backward) or `step` (backward and optimiser step).
    last: the trajectory ends here.
    """

    graph: bool = False
    detach: Literal["net", "all"] | None = None
    reward: Literal["x0", "next"] | None = None
    update: Literal["grad", "step"] | None = None
    last: bool = False


Plan = tuple[StepPlan, ...]
