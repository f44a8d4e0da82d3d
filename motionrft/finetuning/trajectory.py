"""The objective of every method whose plan says it all: walk, judge, run backward where the plan updates."""

from collections.abc import Iterator, Sequence
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Visit, rollout
from motionrft.errors import RunError
from motionrft.finetuning.objective import Moment, Portion, Trial


def updates(trial: Trial, portions: Sequence[Portion], plan: Plan, rng: Random) -> Iterator[Moment]:
    """Moments of one trajectory; its portions walk side by side, each from one update to the next.

    A portion has run backward before the next one starts, so only one portion's graph is alive at a time, for
    a method that updates at every step as for one that updates at the end.
    """
    walks = [_judged(trial, portion, plan) for portion in portions]
    for visits in zip(*walks, strict=True):
        if visits[0].plan.update == "grad" or not any(_learns(visit) for visit in visits):
            continue
        yield _moment(trial, portions, visits)


def _judged(trial: Trial, portion: Portion, plan: Plan) -> Iterator[Visit]:
    """The judged visits of a portion, backward done."""
    recompute = trial.method.recompute
    walk = rollout(
        trial.generator,
        trial.process,
        portion.start,
        plan,
        trial.guidance,
        trial.judge,
        recompute,
        trial.glide,
    )
    while True:
        with trial.autocast():
            visit = next(walk, None)
        if visit is None:
            return
        if visit.plan.update is not None:
            _check_reward(visit, portion)
            if _learns(visit):
                trial.meter.mark()
                trial.backward(_mean(visit) * -portion.share)
            yield visit
        del visit


def _check_reward(visit: Visit, portion: Portion) -> None:
    """One number a motion: a reward of shape (B, 1) would broadcast into something that trains, wrongly."""
    found, motions = visit.reward, len(portion.start.lengths) * visit.plan.copies
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


def _moment(trial: Trial, portions: Sequence[Portion], visits: Sequence[Visit]) -> Moment:
    first = visits[0]
    rewards = [visit.reward.detach() for visit in visits if visit.reward is not None]
    loss = sum((r.mean() * -p.share for r, p in zip(rewards, portions, strict=True)), torch.zeros(()))
    names: dict[str, Tensor] = {
        name: torch.cat([visit.terms[name].detach() for visit in visits]) for name in first.terms
    }
    t = trial.process.timesteps[first.position]
    return Moment(loss, first.position, t, torch.cat(rewards), names, chain=first.plan.update == "chain")
