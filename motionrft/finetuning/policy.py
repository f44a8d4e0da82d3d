"""The objective of DDPO and GRPO: sample with noise, judge the ends, replay each step with a clipped ratio."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.process import Process, Step, log_prob
from motionrft.diffusion.rollout import Start, rollout
from motionrft.finetuning.advantages import ADVANTAGES, RewardHistory
from motionrft.finetuning.methods.ddpo import DdpoPreset
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint
from motionrft.finetuning.policy_losses import clipped_loss, mean_distance
from motionrft.moving import moved

HISTORY = "rewards of prompts"
"""Under this name a run remembers them."""


@dataclass(frozen=True)
class Stored:
    """One stochastic step of N samples: state, what was drawn, a solver's memory, log-probability (N,)."""

    position: int
    x: Tensor  # (N, ...)
    action: Tensor  # (N, ...)
    memory: Tensor | None  # (N, ...)
    log_prob: Tensor  # (N,)


@dataclass(frozen=True)
class Episode:
    """N trajectories that were sampled together, and are replayed together: only so are their ratios exactly 1.

    steps: what is replayed of them. rewards (N,) of the ends; terms: raw, (N,) each. items: (N,) whose prompts
    they are. share: of the whole batch.
    """

    start: Start
    steps: list[Stored]
    rewards: Tensor  # (N,)
    terms: dict[str, Tensor]
    items: Tensor  # (N,)
    share: float


def updates(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """Update points of one stored batch: `epochs` x `updates`, each over the kept positions of some of the samples."""
    method = context.method
    assert isinstance(method, DdpoPreset)
    weights = position_weights(context.process, method)
    parts = [part for micro_batch in micro_batches for part in divided(micro_batch, method.updates)]
    episodes = [_sampled(context, part, plan, set(weights)) for part in parts]
    advantages = advantages_of(context, episodes)
    # Asked once a stored batch: what has no advantage is not replayed at all.
    taught = torch.stack([(each != 0).float().mean() for each in advantages]).tolist()
    for _ in range(method.epochs):
        for chosen in _shuffled(len(episodes), method.updates, rng):
            replayed = [(episodes[number], advantages[number], taught[number]) for number in chosen]
            yield _replayed(context, replayed, weights, rng, episodes)


def position_weights(process: Process, method: DdpoPreset) -> dict[int, float]:
    """Position -> weight of its loss, of the stochastic positions that are replayed; weights have mean 1.

    The gradient of a log-probability grows with b / s, b the coefficient of the prediction in the mean and s the
    deviation. Near the clean end that is many times its median: one step would drown all others in noise.
    """
    gain, deviation = process.gains.abs().cpu().double(), process.std.cpu().double()  # (S,)
    noisy = [i for i, stochastic in enumerate(process.stochastic) if stochastic]
    steepness = gain / deviation  # (S,)
    if method.cut is not None:
        bound = method.cut * steepness[noisy].median()
        noisy = [i for i in noisy if steepness[i] <= bound]
    raw = {"deviation": deviation, "gain": 1 / steepness, "equal": torch.ones_like(deviation)}[method.weight]
    mean = raw[noisy].mean()
    return {i: float(raw[i] / mean) for i in noisy}


def advantages_of(context: TuningContext, episodes: Sequence[Episode]) -> list[Tensor]:
    """Each episode's advantages, from the rewards of the whole batch, whichever processes have sampled it."""
    method = context.method
    assert isinstance(method, DdpoPreset)
    own = torch.cat([episode.rewards for episode in episodes])  # (N,)
    rewards, items, first = own, torch.cat([episode.items for episode in episodes]), 0
    if context.company.processes > 1:
        everyone = context.company.gather((own.tolist(), items.tolist()))
        rewards = own.new_tensor([reward for there, _ in everyone for reward in there])
        items = torch.tensor([item for _, there in everyone for item in there])
        first = sum(len(there) for there, _ in everyone[: context.company.rank])
    if method.advantages == "history":
        history = RewardHistory(method.history, method.least, context.memory.setdefault(HISTORY, {}))
        found = history.advantages(rewards, items)
    else:
        found = ADVANTAGES[method.advantages](rewards, method.group)
    mine = found[first : first + len(own)]
    return list(mine.split([len(episode.rewards) for episode in episodes]))  # (N,) of each episode


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


def divided(micro_batch: MicroBatch, parts: int) -> list[MicroBatch]:
    """A micro-batch as at most `parts` smaller ones, none empty; each draws its own items' noise."""
    count = len(micro_batch.items)
    if parts == 1 or count == 1:
        return [micro_batch]
    return [
        replace(
            micro_batch,
            start=_rows(micro_batch.start, rows),
            items=micro_batch.items[rows],
            share=micro_batch.share * len(rows) / count,
        )
        for rows in torch.arange(count).tensor_split(min(parts, count))
    ]


def _rows(start: Start, rows: Tensor) -> Start:
    draw = start.draw
    chosen = start.index(moved(rows, start.lengths.device))
    return replace(
        chosen, draw=None if draw is None else lambda number: draw(number)[moved(rows, start.noise.device)]
    )


@torch.no_grad()
def _sampled(context: TuningContext, micro_batch: MicroBatch, plan: Plan, kept: set[int]) -> Episode:
    method = context.method
    assert isinstance(method, DdpoPreset)
    start = grouped(micro_batch.start, method.group, method.shared_noise)
    steps, end = [], start.noise
    with context.autocast():
        for visit in rollout(context.generator, context.process, start, plan, context.guidance):
            end = visit.step.sample  # (N, ...)
            if visit.position in kept:
                mask = context.generator.state_mask(visit.x, start.lengths)
                old = log_prob(visit.step, end, mask)  # (N,)
                steps.append(Stored(visit.position, visit.x, end, visit.memory, old))
        motion = context.generator.decode(end, start.lengths, start.frames)  # (N, T, D)
        rewards, terms = context.reward(motion, start.lengths, start.reward_condition, 0)
    items = micro_batch.items.repeat_interleave(method.group)  # (N,)
    return Episode(start, steps, rewards, terms, items, micro_batch.share)


def grouped(start: Start, group: int, shared_noise: bool = False) -> Start:
    """Every prompt `group` times, consecutively; each copy draws noise of its own.

    Args:
        shared_noise: the copies of a prompt begin with the same noise, and part ways by the steps' noise alone.
    """
    if group == 1:
        return start
    assert start.draw is not None, "samples of one prompt need noise of their own"
    draw, count = start.draw, len(start.lengths)
    order = torch.arange(group * count, device=start.lengths.device).view(group, count).T.flatten()  # (N,)

    def fresh(number: int) -> Tensor:
        return torch.cat([draw(number) for _ in range(group)])[order]  # (N, ...)

    others = (start.noise if shared_noise else draw(0) for _ in range(group - 1))
    noise = torch.cat([start.noise, *others])[order]  # (N, ...)
    repeated = start.repeated(group).index(order)
    return replace(repeated, noise=noise, draw=fresh)


def _shuffled(count: int, parts: int, rng: Random) -> list[list[int]]:
    """0 .. count - 1 in at most `parts` groups of about equal size; shuffled where there is more than one."""
    order = list(range(count))
    if parts > 1:
        rng.shuffle(order)
    whole, more = divmod(count, min(parts, count))
    sizes = [whole + (number < more) for number in range(min(parts, count))]
    ends = list(accumulate(sizes))
    return [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _replayed(
    context: TuningContext,
    chosen: Sequence[tuple[Episode, Tensor, float]],
    weights: dict[int, float],
    rng: Random,
    everything: Sequence[Episode],
) -> UpdatePoint:
    """Backward over the positions of the chosen episodes, given with their advantages and the share that has one.

    One graph is alive at a time.

    Samples whose advantage is exactly 0 (all of a group were rewarded alike) are left out of every mean, and so of
    the pull towards the untuned generator.
    """
    method = context.method
    assert isinstance(method, DdpoPreset)
    counts = [episode.share * share for episode, _, share in chosen]
    # Gradients are averaged over processes: each divides by what all of them have, so that every sample counts alike.
    taught = context.company.gather(sum(counts))
    whole = sum(taught) / len(taught)
    sums = {
        name: chosen[0][1].new_zeros(())
        for name in ("loss", "kl", "clipped", "ratio", *(["drift"] if method.kl else []))
    }
    for (episode, advantages, _), count in zip(chosen, counts, strict=True):
        if not count:
            continue
        steps = rng.sample(episode.steps, max(1, round(method.share * len(episode.steps))))
        for stored in steps:
            with context.autocast():
                loss, numbers = _step_loss(context, episode, stored, advantages, weights[stored.position])
            part = count / whole / len(steps)
            context.meter.mark()
            context.backward(loss * part)
            for name, value in (("loss", loss), *numbers.items()):
                sums[name] = sums[name] + part * value.detach()
    rewards = torch.cat([episode.rewards for episode in everything])  # (N,)
    terms = {name: torch.cat([e.terms[name] for e in everything]) for name in everything[0].terms}
    sums["taught"] = torch.tensor(sum(counts) / sum(episode.share for episode, _, _ in chosen))
    return UpdatePoint(sums.pop("loss"), rewards=rewards, terms=terms, numbers=sums)


def _step_loss(
    context: TuningContext, episode: Episode, stored: Stored, advantages: Tensor, weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one position, and what to log of it; means run over samples with an advantage."""
    method = context.method
    assert isinstance(method, DdpoPreset)
    now, step = step_log_prob(context, episode.start, stored)  # (N,)
    taught = (advantages != 0).to(now.dtype)  # (N,)
    policy = clipped_loss(
        now, stored.log_prob, advantages, method.clip_range("diffusion"), method.advantage_clip, taught
    )
    loss = weight * (policy.loss * taught).sum() / taught.sum()
    numbers = {"kl": policy.approximate_kl, "clipped": policy.clipped_share, "ratio": policy.mean_ratio}
    if method.kl:
        distance = _distance(context, episode.start, stored, step)  # (N,)
        numbers["drift"] = (distance * taught).sum() / taught.sum()
        loss = loss + method.kl * numbers["drift"]
    return loss, numbers


def _distance(context: TuningContext, start: Start, stored: Stored, step: Step) -> Tensor:
    """(N,) distance to the untuned generator's step, as published or as the divergence of two Gaussians."""
    method, process = context.method, context.process
    assert isinstance(method, DdpoPreset)
    with torch.no_grad(), context.frozen():
        _, untuned = step_log_prob(context, start, stored)
    published = method.kl_form == "published"
    deviation = step.std / process.spans[stored.position].sqrt() if published else step.std
    mask = context.generator.state_mask(stored.x, start.lengths)
    return mean_distance(step.mean, untuned.mean, deviation, mask)  # (N,)
