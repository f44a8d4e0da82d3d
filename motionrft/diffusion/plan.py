"""What a fine-tuning method says of each denoising step: the whole vocabulary of the reward methods."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StepPlan:
    """The answers of a method for one denoising step.

    graph: run the network under autograd.
    detach: cut the gradient: `net` for the network's input only (the sampler's linear path stays), `all` for
        the state.
    reward: judge nothing, `x0` (the clean prediction, as a clean motion) or `next` (the next state, at its
        own level).
    update: after judging: nothing, `grad` (backward), `step` (backward and optimiser step) or `chain` (an
        optimiser step on a second copy of the weights; the trajectory goes on with those it started with).
    last: the trajectory ends here.
    copies: the step is repeated on that many re-noised copies of its own clean prediction, and those are
        judged.
    """

    graph: bool = False
    detach: Literal["net", "all"] | None = None
    reward: Literal["x0", "next"] | None = None
    update: Literal["grad", "step", "chain"] | None = None
    last: bool = False
    copies: int = 1


Plan = tuple[StepPlan, ...]

SAMPLE = StepPlan()
"""A step that only samples."""


def sampling_plan(steps: int) -> Plan:
    """Every answer is no: plain sampling."""
    return (SAMPLE,) * steps


def visited(plan: Plan) -> Plan:
    """The part of a plan that runs: up to and including its `last` step."""
    ends = [i for i, step in enumerate(plan) if step.last]
    return plan[: ends[0] + 1] if ends else plan


def updates(plan: Plan) -> int:
    """Optimiser steps that one trajectory of this plan makes."""
    return sum(step.update in ("step", "chain") for step in visited(plan))


def plan_rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The plan as rows for people (positions, graph, detach, reward, update, last); equal neighbours share one."""
    start = 0
    for i in range(1, len(plan) + 1):
        if i < len(plan) and plan[i] == plan[start]:
            continue
        step, end = plan[start], i - 1
        yield (
            str(start) if start == end else f"{start}-{end}",
            "yes" if step.graph else "",
            step.detach or "",
            (step.reward or "") + (f" x{step.copies}" if step.copies > 1 else ""),
            step.update or "",
            "yes" if step.last else "",
        )
        start = i
