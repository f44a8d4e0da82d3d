"""The denoising error of motions, and the objective of supervised fine-tuning."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.parametrisation import training_target
from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Start
from motionrft.diffusion.schedule import broadcast
from motionrft.finetuning.methods.sft import SftPreset
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint
from motionrft.generators.base import Condition
from motionrft.generators.guidance import both_halves
from motionrft.lengths import masked_mean
from motionrft.moving import moved


@dataclass(frozen=True)
class Corruption:
    """One draw of training times (B,) and noise like the state, shared by everything that is compared."""

    t: Tensor  # (B,)
    noise: Tensor  # (B, ...)


def updates(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """One update point: the mean denoising error of the recorded motions."""
    method = context.method
    assert isinstance(method, SftPreset)
    loss = micro_batches[0].start.noise.new_zeros(())
    for micro_batch in micro_batches:
        start = with_dropped_text(micro_batch.start, method.drop_text, rng)
        with context.autocast():
            error = denoising_error(  # (B,)
                context, start, recorded_state(context, micro_batch), drawn(context, micro_batch.start, rng)
            )
            mean = error.mean() * micro_batch.share
        context.meter.mark()
        context.backward(mean)
        loss = loss + mean.detach()
    yield UpdatePoint(loss)


def recorded_state(context: TuningContext, micro_batch: MicroBatch) -> Tensor:
    """The clean state (B, ...) of the recorded motions, without gradient."""
    assert micro_batch.motion is not None, "this method learns from recorded motions"
    return encoded(context, micro_batch.motion, micro_batch.start)


@torch.no_grad()
def encoded(context: TuningContext, motion: Tensor, start: Start) -> Tensor:
    """The clean state of motions (B, T, D) of the start's lengths."""
    return context.generator.encode(motion, start.lengths)  # (B, ...)


def drawn(context: TuningContext, start: Start, rng: Random) -> Corruption:
    """Times by the trajectory's own random numbers; noise by the items' own, and never one that a sample was made of."""
    assert start.draw is not None, "motions are corrupted with fresh noise"
    random = torch.Generator().manual_seed(rng.getrandbits(63))
    t = context.generator.schedule.draw_times(len(start.lengths), random)  # (B,)
    return Corruption(moved(t, start.noise.device), start.draw(context.process.steps + 1))


def denoising_error(context: TuningContext, start: Start, clean: Tensor, corruption: Corruption) -> Tensor:
    """(B,) mean squared error of the network's own target over valid numbers, without guidance."""
    schedule, t = context.generator.schedule, corruption.t
    alpha, sigma = (broadcast(level, clean) for level in schedule.levels(t))  # (B, 1, ...) each
    x = schedule.add_noise(clean, corruption.noise, t)  # (B, ...)
    answer = context.generator.predict(x, t, start.condition, start.lengths, 1.0)  # type: ignore[arg-type]
    target = training_target(context.generator.parametrisation, clean, corruption.noise, alpha, sigma)
    return masked_mean((answer - target).square(), context.generator.state_mask(x, start.lengths))  # (B,)


def with_dropped_text(start: Start, probability: float, rng: Random) -> Start:
    """Some prompts replaced by the null prompt, where the generator has one."""
    condition = start.condition
    if not isinstance(condition, Condition) or condition.null is None or not probability:
        return start
    count = len(start.lengths)
    rows = [row + count * (rng.random() < probability) for row in range(count)]
    text = both_halves(condition).index(moved(torch.tensor(rows), start.lengths.device))  # (B, L, D) tokens
    return replace(start, condition=replace(condition, text=text))
