"""The objectives of DPO and SoPo, and their losses as pure functions of denoising errors (B,)."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Start, sample
from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.methods.sopo import SopoPreset
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint
from motionrft.finetuning.policy import grouped
from motionrft.finetuning.supervised import Corruption, denoising_error, drawn, recorded_state

Numbers = dict[str, Tensor]


def dpo_loss(won: Tensor, lost: Tensor, won_ref: Tensor, lost_ref: Tensor, beta: float) -> Tensor:
    """(B,) -log sigmoid(-(beta / 2) [(e_w - e_l) - (e_w_ref - e_l_ref)]) (Wallace et al. 2024, Eq. 14)."""
    return -F.logsigmoid(-0.5 * beta * ((won - lost) - (won_ref - lost_ref)))


def sopo_loss(
    won: Tensor, lost: Tensor, won_ref: Tensor, lost_ref: Tensor, weight: Tensor, keep: Tensor, beta: float
) -> Tensor:
    """(B,) -log sigmoid(-beta [w (e_w - e_w_ref) - keep (e_l - e_l_ref)]); keep 0 leaves the preferred
    term.
    """
    return -F.logsigmoid(-beta * (weight * (won - won_ref) - keep * (lost - lost_ref)))


def dpo(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """One update point: best against worst of the candidates of each prompt."""
    method = context.method
    assert isinstance(method, DpoPreset)

    def loss(micro_batch: MicroBatch) -> tuple[Tensor, Numbers, Tensor, Numbers]:
        states, rewards, terms = candidates(context, micro_batch.start, method.candidates)
        rows = torch.arange(len(rewards), device=rewards.device)
        best, worst = states[rows, rewards.argmax(1)], states[rows, rewards.argmin(1)]
        errors = _compared(context, micro_batch.start, best, worst, drawn(context, micro_batch.start, rng))
        clear = rewards.amax(1) - rewards.amin(1) > method.margin
        value = dpo_loss(*errors, beta=method.beta) * clear
        return value.mean(), _told(*errors), rewards.flatten(), terms

    yield _accumulated(context, micro_batches, loss)


def sopo(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """One update point: the recorded motion against the worst sample, where that is bad enough."""
    method = context.method
    assert isinstance(method, SopoPreset)

    def loss(micro_batch: MicroBatch) -> tuple[Tensor, Numbers, Tensor, Numbers]:
        states, rewards, terms = candidates(context, micro_batch.start, method.candidates)
        likeness = (terms["semantic"].view_as(rewards) + 1) / 2  # cosine to a similarity in [0, 1]
        truth = recorded_state(context, micro_batch)
        rows = torch.arange(len(rewards), device=rewards.device)
        worst = likeness.argmin(1)
        keep = (likeness[rows, worst] < method.tau).to(truth.dtype)
        weight = torch.full_like(keep, method.c)
        if "similarity" in terms:
            weight = method.c - (terms["similarity"].view_as(rewards).amin(1) + 1) / 2
        errors = _compared(
            context, micro_batch.start, truth, states[rows, worst], drawn(context, micro_batch.start, rng)
        )
        value = sopo_loss(*errors, weight=weight, keep=keep, beta=method.beta)
        return value.mean(), {**_told(*errors), "kept": keep.mean()}, rewards.flatten(), terms

    yield _accumulated(context, micro_batches, loss)


@torch.no_grad()
def candidates(context: TuningContext, start: Start, count: int) -> tuple[Tensor, Tensor, Numbers]:
    """`count` samples of each prompt: clean states (B, count, ...), rewards (B, count), terms (B * count,)."""
    several = grouped(start, count)
    with context.autocast():
        states = sample(context.generator, context.process, several, context.guidance)
        motion = context.generator.decode(states, several.lengths, several.frames)
        rewards, terms = context.reward(motion, several.lengths, several.reward_condition, 0)
    return states.unflatten(0, (-1, count)), rewards.view(-1, count), terms


def _compared(
    context: TuningContext, start: Start, won: Tensor, lost: Tensor, corruption: Corruption
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Errors of both states under the tuned and the untuned generator, with the same times and noise."""
    errors = [denoising_error(context, start, state, corruption) for state in (won, lost)]
    with torch.no_grad(), context.frozen():
        untuned = [denoising_error(context, start, state, corruption) for state in (won, lost)]
    return errors[0], errors[1], untuned[0], untuned[1]


def _told(won: Tensor, lost: Tensor, won_ref: Tensor, lost_ref: Tensor) -> Numbers:
    """What is worth logging: how often the pair is ordered right, and both errors against the reference."""
    right = ((won - won_ref) < (lost - lost_ref)).float().mean()
    return {"accuracy": right, "won_drift": (won - won_ref).mean(), "lost_drift": (lost - lost_ref).mean()}


def _accumulated(
    context: TuningContext,
    micro_batches: Sequence[MicroBatch],
    loss_of: Callable[[MicroBatch], tuple[Tensor, Numbers, Tensor, Numbers]],
) -> UpdatePoint:
    """Backward over the micro-batches, one graph at a time, and what to log of all of them."""
    total, rewards = micro_batches[0].start.noise.new_zeros(()), []
    numbers: Numbers = {}
    terms: dict[str, list[Tensor]] = {}
    for micro_batch in micro_batches:
        with context.autocast():
            loss, numbers_here, rewards_here, raw = loss_of(micro_batch)
        context.meter.mark()
        context.backward(loss * micro_batch.share)
        total = total + loss.detach() * micro_batch.share
        rewards.append(rewards_here)
        for name, value in numbers_here.items():
            numbers[name] = numbers.get(name, torch.zeros_like(value)) + value.detach() * micro_batch.share
        for name, value in raw.items():
            terms.setdefault(name, []).append(value)
    return UpdatePoint(
        total,
        rewards=torch.cat(rewards),
        terms={name: torch.cat(values) for name, values in terms.items()},
        numbers=numbers,
    )
