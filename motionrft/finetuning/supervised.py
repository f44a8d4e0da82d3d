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
from motionrft.finetuning.objective import Moment, Portion, Trial
from motionrft.finetuning.sft import SftPreset
from motionrft.generators.base import Condition
from motionrft.generators.guidance import both_halves


@dataclass(frozen=True)
class Corruption:
    """One draw of training times (B,) and noise like the state, shared by everything that is compared."""

    t: Tensor
    noise: Tensor


def updates(trial: Trial, portions: Sequence[Portion], plan: Plan, rng: Random) -> Iterator[Moment]:
    """One moment: the mean denoising error of the recorded motions."""
    method = trial.method
    assert isinstance(method, SftPreset)
    loss = torch.zeros(())
    for portion in portions:
        start = with_dropped_text(portion.start, method.drop_text, rng)
        with trial.autocast():
            error = denoising_error(
                trial, start, recorded_state(trial, portion), drawn(trial, portion.start, rng)
            )
            mean = error.mean() * portion.share
        trial.meter.mark()
        trial.backward(mean)
        loss = loss + mean.detach().cpu()
    yield Moment(loss)


def recorded_state(trial: Trial, portion: Portion) -> Tensor:
    """The clean state of the recorded motions, without gradient."""
    assert portion.motion is not None, "this method learns from recorded motions"
    with torch.no_grad():
        return trial.generator.encode(portion.motion, portion.start.lengths)


def drawn(trial: Trial, start: Start, rng: Random) -> Corruption:
    """Times by the trajectory's own random numbers, noise by the items' own."""
    random = torch.Generator().manual_seed(rng.getrandbits(63))
    t = trial.generator.schedule.draw_times(len(start.lengths), random)
    return Corruption(t.to(start.noise.device), start.noise)


def denoising_error(trial: Trial, start: Start, clean: Tensor, corruption: Corruption) -> Tensor:
    """(B,) mean squared error of the network's own target over valid numbers, without guidance."""
    schedule, t = trial.generator.schedule, corruption.t
    alpha, sigma = (broadcast(level, clean) for level in schedule.levels(t))
    x = schedule.add_noise(clean, corruption.noise, t)
    answer = trial.generator.predict(x, t, start.condition, start.lengths, 1.0)  # type: ignore[arg-type]
    target = training_target(trial.generator.parametrisation, clean, corruption.noise, alpha, sigma)
    squares = (answer - target).square()
    mask = trial.generator.state_mask(x, start.lengths)
    if mask is None:
        return squares.flatten(1).mean(1)
    weight = mask.to(squares.dtype).expand_as(squares)
    return (squares * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)


def with_dropped_text(start: Start, probability: float, rng: Random) -> Start:
    """Some prompts replaced by the null prompt, where the generator has one."""
    condition = start.condition
    if not isinstance(condition, Condition) or condition.null is None or not probability:
        return start
    count = len(start.lengths)
    rows = [row + count * (rng.random() < probability) for row in range(count)]
    text = both_halves(condition).index(torch.tensor(rows, device=start.lengths.device))
    return replace(start, condition=Condition(text, condition.null))
