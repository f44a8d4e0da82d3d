"""The objectives of DPO and SoPo, and their losses as pure functions of denoising errors (B,)."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Start, sample
from motionrft.finetuning.dpo import DpoPreset
from motionrft.finetuning.objective import Moment, Portion, Trial
from motionrft.finetuning.policy import grouped
from motionrft.finetuning.sopo import SopoPreset
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


def dpo(trial: Trial, portions: Sequence[Portion], plan: Plan, rng: Random) -> Iterator[Moment]:
    """One moment: best against worst of the candidates of each prompt."""
    method = trial.method
    assert isinstance(method, DpoPreset)

    def loss(portion: Portion) -> tuple[Tensor, Numbers, Tensor, Numbers]:
        states, rewards, terms = candidates(trial, portion.start, method.candidates)
        rows = torch.arange(len(rewards), device=rewards.device)
        best, worst = states[rows, rewards.argmax(1)], states[rows, rewards.argmin(1)]
        errors = _compared(trial, portion.start, best, worst, drawn(trial, portion.start, rng))
        clear = rewards.amax(1) - rewards.amin(1) > method.margin
        value = dpo_loss(*errors, beta=method.beta) * clear
        return value.mean(), _told(*errors), rewards.flatten(), terms

    yield _accumulated(trial, portions, loss)


def sopo(trial: Trial, portions: Sequence[Portion], plan: Plan, rng: Random) -> Iterator[Moment]:
    """One moment: the recorded motion against the worst sample, where that is bad enough."""
    method = trial.method
    assert isinstance(method, SopoPreset)

    def loss(portion: Portion) -> tuple[Tensor, Numbers, Tensor, Numbers]:
        states, rewards, terms = candidates(trial, portion.start, method.candidates)
        likeness = (terms["semantic"].view_as(rewards) + 1) / 2  # cosine to a similarity in [0, 1]
        truth = recorded_state(trial, portion)
        rows = torch.arange(len(rewards), device=rewards.device)
        worst = likeness.argmin(1)
        keep = (likeness[rows, worst] < method.tau).to(truth.dtype)
        weight = torch.full_like(keep, method.c)
        if "similarity" in terms:
            weight = method.c - (terms["similarity"].view_as(rewards).amin(1) + 1) / 2
        errors = _compared(trial, portion.start, truth, states[rows, worst], drawn(trial, portion.start, rng))
        value = sopo_loss(*errors, weight=weight, keep=keep, beta=method.beta)
        return value.mean(), {**_told(*errors), "kept": keep.mean()}, rewards.flatten(), terms

    yield _accumulated(trial, portions, loss)


@torch.no_grad()
def candidates(trial: Trial, start: Start, count: int) -> tuple[Tensor, Tensor, Numbers]:
    """`count` samples of each prompt: clean states (B, count, ...), rewards (B, count), terms (B * count,)."""
    several = grouped(start, count)
    with trial.autocast():
        states = sample(trial.generator, trial.process, several, trial.guidance)
        motion = trial.generator.decode(states, several.lengths, several.frames)
        rewards, terms = trial.judge(motion, several.lengths, several.verdict, 0)
    return states.unflatten(0, (-1, count)), rewards.view(-1, count), terms


def _compared(
    trial: Trial, start: Start, won: Tensor, lost: Tensor, corruption: Corruption
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Errors of both states under the tuned and the untuned generator, with the same times and noise."""
    errors = [denoising_error(trial, start, state, corruption) for state in (won, lost)]
    with torch.no_grad(), trial.frozen():
        untuned = [denoising_error(trial, start, state, corruption) for state in (won, lost)]
    return errors[0], errors[1], untuned[0], untuned[1]


def _told(won: Tensor, lost: Tensor, won_ref: Tensor, lost_ref: Tensor) -> Numbers:
    """What is worth logging: how often the pair is ordered right, and both errors against the reference."""
    right = ((won - won_ref) < (lost - lost_ref)).float().mean()
    return {"accuracy": right, "won_drift": (won - won_ref).mean(), "lost_drift": (lost - lost_ref).mean()}


def _accumulated(
    trial: Trial,
    portions: Sequence[Portion],
    loss_of: Callable[[Portion], tuple[Tensor, Numbers, Tensor, Numbers]],
) -> Moment:
    """Backward over the portions, one graph at a time, and what to log of all of them."""
    total, rewards = torch.zeros(()), []
    numbers: Numbers = {}
    terms: dict[str, list[Tensor]] = {}
    for portion in portions:
        with trial.autocast():
            loss, told, judged, raw = loss_of(portion)
        trial.meter.mark()
        trial.backward(loss * portion.share)
        total = total + loss.detach().cpu() * portion.share
        rewards.append(judged)
        for name, value in told.items():
            numbers[name] = numbers.get(name, torch.zeros(())) + value.detach().cpu() * portion.share
        for name, value in raw.items():
            terms.setdefault(name, []).append(value)
    return Moment(
        total,
        rewards=torch.cat(rewards),
        terms={name: torch.cat(values) for name, values in terms.items()},
        numbers=numbers,
    )
