"""The objective of every method whose plan says it all: walk, judge, run backward where the plan updates."""

from collections.abc import Iterator, Sequence
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Visit, rollout
from motionrft.errors import RunError
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint


def updates(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """Update points of one trajectory; its micro-batches walk side by side, each from one update to the next.

    A micro-batch has run backward before the next one starts, so only one micro-batch's graph is alive at a time, for
    a method that updates at every step as for one that updates at the end.
    """
    walks = [_judged(context, micro_batch, plan) for micro_batch in micro_batches]
    for visits in zip(*walks, strict=True):
        if visits[0].plan.update == "grad" or not any(_learns(visit) for visit in visits):
            continue
        yield _update_point(context, micro_batches, visits)


def _judged(context: TuningContext, micro_batch: MicroBatch, plan: Plan) -> Iterator[Visit]:
    """The judged visits of a micro-batch, backward done."""
    recompute = context.method.recompute
    walk = rollout(
        context.generator,
        context.process,
        micro_batch.start,
        plan,
        context.guidance,
        context.reward,
        recompute,
        context.compiled,
    )
    while True:
        with context.autocast():
            visit = next(walk, None)
        if visit is None:
            return
        if visit.plan.update is not None:
            _check_reward(visit, micro_batch)
            if _learns(visit):
                context.meter.mark()
                context.backward(_mean(visit) * -micro_batch.share)
            yield visit
        del visit


def _check_reward(visit: Visit, micro_batch: MicroBatch) -> None:
    """One number a motion: a reward of shape (B, 1) would broadcast into something that trains, wrongly."""
    found, motions = visit.reward, len(micro_batch.start.lengths) * visit.plan.copies
    if found is not None and found.shape != (motions,):
        raise RunError(
            f"the reward returned shape {tuple(found.shape)} for {motions} motions; it must be ({motions},), "
            "one number a motion, higher is better."
        )


def _mean(visit: Visit) -> Tensor:
    assert visit.reward is not None
    return visit.reward.mean()


def _learns(visit: Visit) -> bool:
    return visit.reward is not None and visit.reward.requires_grad


def _update_point(
    context: TuningContext, micro_batches: Sequence[MicroBatch], visits: Sequence[Visit]
) -> UpdatePoint:
    first = visits[0]
    rewards = [visit.reward.detach() for visit in visits if visit.reward is not None]
    loss = sum((r.mean() * -p.share for r, p in zip(rewards, micro_batches, strict=True)), torch.zeros(()))
    names: dict[str, Tensor] = {
        name: torch.cat([visit.terms[name].detach() for visit in visits]) for name in first.terms
    }
    t = context.process.timesteps[first.position]
    return UpdatePoint(loss, first.position, t, torch.cat(rewards), names, chain=first.plan.update == "chain")
