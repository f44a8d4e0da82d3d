"""The objective of DDPO and GRPO: sample with noise, judge the ends, replay each step with a clipped ratio."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.process import Step, log_prob
from motionrft.diffusion.rollout import Start, rollout
from motionrft.finetuning.methods.ddpo import DdpoPreset
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint
from motionrft.moving import moved


@dataclass(frozen=True)
class Stored:
    """One stochastic step of N samples: state, what was drawn, a solver's memory, log-probability (N,)."""

    position: int
    x: Tensor
    action: Tensor
    memory: Tensor | None
    log_prob: Tensor


@dataclass(frozen=True)
class Episode:
    """N sampled trajectories: their stochastic steps, rewards (N,) of the ends, and raw terms, (N,) each."""

    start: Start
    steps: list[Stored]
    rewards: Tensor
    terms: dict[str, Tensor]
    share: float


def updates(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """Update points of one stored batch: `epochs` x `updates`, each over all positions of some of the samples."""
    method = context.method
    assert isinstance(method, DdpoPreset)
    episodes = [_sampled(context, micro_batch, plan, method.group) for micro_batch in micro_batches]
    scores = advantages(torch.cat([e.rewards for e in episodes]), method.group, method.normalise)
    scores = scores.clamp(-method.advantage_clip, method.advantage_clip)
    parts = scores.split([len(e.rewards) for e in episodes])
    for _ in range(method.epochs):
        shuffles = [_shuffled(len(part), method.updates, rng) for part in parts]
        for chosen in zip(*shuffles, strict=True):
            yield _replayed(context, episodes, parts, chosen, rng)


def advantages(rewards: Tensor, group: int, normalise: str) -> Tensor:
    """Rewards (N,) as deviations from a baseline; samples of one prompt are consecutive.

    A group of equal rewards gets exactly zero.
    """
    if normalise == "batch":
        return (rewards - rewards.mean()) / (rewards.std(correction=0) + 1e-6)
    grouped = rewards.view(-1, group)
    centred = grouped - grouped.mean(1, keepdim=True)
    return (centred / (grouped.std(1, correction=0, keepdim=True) + 1e-4)).flatten()


def clipped_loss(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """() mean of max(-A r, -A clamp(r, 1 - clip, 1 + clip)) (Schulman et al. 2017)."""
    return torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).mean()


def step_log_prob(context: TuningContext, start: Start, stored: Stored) -> tuple[Tensor, Step]:
    """Log-probability (N,) of a stored action under the weights of now."""
    t = context.process.timesteps[stored.position]
    prediction = context.generator.predict(stored.x, t, start.condition, start.lengths, context.guidance)  # type: ignore[arg-type]
    # The noise is of no consequence: the mean and the deviation are asked for, not the sample.
    step = context.process.step(
        prediction, stored.x, stored.position, torch.zeros_like(stored.x), stored.memory
    )
    mask = context.generator.state_mask(stored.x, start.lengths)
    return log_prob(step, stored.action, mask), step


@torch.no_grad()
def _sampled(context: TuningContext, micro_batch: MicroBatch, plan: Plan, group: int) -> Episode:
    start = grouped(micro_batch.start, group)
    steps, end = [], start.noise
    with context.autocast():
        for visit in rollout(
            context.generator,
            context.process,
            start,
            plan,
            context.guidance,
            compiled=context.compiled,
        ):
            end = visit.step.sample
            # The last step's deviation is zero or next to it, and so its log-probability without bound.
            if context.process.stochastic[visit.position] and visit.position + 1 < len(plan):
                mask = context.generator.state_mask(visit.x, start.lengths)
                old = log_prob(visit.step, end, mask)
                steps.append(Stored(visit.position, visit.x, end, visit.memory, old))
        motion = context.generator.decode(end, start.lengths, start.frames)
        rewards, terms = context.judge(motion, start.lengths, start.reward_condition, 0)
    return Episode(start, steps, rewards, terms, micro_batch.share)


def grouped(start: Start, group: int) -> Start:
    """Every prompt `group` times, consecutively, each copy with noise of its own."""
    if group == 1:
        return start
    assert start.draw is not None, "samples of one prompt need noise of their own"
    draw, count = start.draw, len(start.lengths)
    order = torch.arange(group * count, device=start.lengths.device).view(group, count).T.flatten()

    def fresh(number: int) -> Tensor:
        return torch.cat([draw(number) for _ in range(group)])[order]

    noise = torch.cat([start.noise, *(draw(0) for _ in range(group - 1))])[order]
    repeated = start.repeated(group).index(order)
    return replace(repeated, noise=noise, draw=fresh)


def _shuffled(count: int, parts: int, rng: Random) -> list[Tensor]:
    order = list(range(count))
    if parts > 1:
        rng.shuffle(order)
    return list(torch.tensor(order).tensor_split(min(parts, count)))


def _replayed(
    context: TuningContext,
    episodes: Sequence[Episode],
    advantages: Sequence[Tensor],
    chosen: Sequence[Tensor],
    rng: Random,
) -> UpdatePoint:
    """Backward over all stored positions of the chosen samples; one graph is alive at a time."""
    method = context.method
    assert isinstance(method, DdpoPreset)
    total = sum(e.share * len(part) / len(e.rewards) for e, part in zip(episodes, chosen, strict=True))
    sums = {name: advantages[0].new_zeros(()) for name in ("loss", "kl", "clipped", "ratio")}
    for episode, advantage, part in zip(episodes, advantages, chosen, strict=True):
        items = moved(part, advantage.device)
        start = episode.start.index(items)
        weight = episode.share * len(part) / len(episode.rewards) / total / len(episode.steps)
        for stored in rng.sample(episode.steps, len(episode.steps)):
            step = _rows(stored, items)
            with context.autocast():
                loss, numbers = _step_loss(context, start, step, advantage[items])
            context.meter.mark()
            context.backward(loss * weight)
            for name, value in (("loss", loss), *numbers.items()):
                sums[name] = sums[name] + weight * value.detach()
    rewards = torch.cat([e.rewards for e in episodes])
    terms = {name: torch.cat([e.terms[name] for e in episodes]) for name in episodes[0].terms}
    loss = sums.pop("loss")
    return UpdatePoint(loss, rewards=rewards, terms=terms, numbers=sums)


def _step_loss(
    context: TuningContext, start: Start, stored: Stored, advantage: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    method = context.method
    assert isinstance(method, DdpoPreset)
    now, step = step_log_prob(context, start, stored)
    ratio = torch.exp(now - stored.log_prob)
    loss = clipped_loss(ratio, advantage, method.clip)
    if method.kl:
        with torch.no_grad(), context.frozen():
            _, untuned = step_log_prob(context, start, stored)
        loss = loss + method.kl * ((step.mean - untuned.mean) / step.std).square().mean() / 2
    numbers = {
        "kl": 0.5 * (now - stored.log_prob).square().mean(),
        "clipped": ((ratio - 1).abs() > method.clip).float().mean(),
        "ratio": ratio.mean(),
    }
    return loss, numbers


def _rows(stored: Stored, items: Tensor) -> Stored:
    memory = None if stored.memory is None else stored.memory[items]
    return Stored(stored.position, stored.x[items], stored.action[items], memory, stored.log_prob[items])
