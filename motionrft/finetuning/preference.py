"""The objectives of DPO and SoPo: a better and a worse motion of one prompt, compared by their denoising errors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.rollout import Start, sample
from motionrft.errors import UserError
from motionrft.finetuning.methods.dpo import DpoPreset
from motionrft.finetuning.methods.sopo import SopoPreset
from motionrft.finetuning.objective import MicroBatch, TuningContext, UpdatePoint
from motionrft.finetuning.pair_values import PairValues
from motionrft.finetuning.policy import grouped
from motionrft.finetuning.preference_losses import (
    SopoChoice,
    dpo_loss,
    dpo_margin,
    sopo_choice,
    sopo_loss,
)
from motionrft.finetuning.supervised import denoising_error, drawn, encoded, recorded_state

Numbers = dict[str, Tensor]
TAU, SEEN, SHARES = "sopo tau", "sopo worst scores", "sopo prompts on end"
"""Under these names a run remembers the threshold that it found, what it finds it from as long as that is too little, and
for how long it has let nothing or all through."""
ENOUGH = 8
"""Prompts whose worst scores make a threshold."""
WATCHED = 32
"""Prompts on end after which a share of 0 or 1 is worth a warning."""
ROUNDING = 1e-6
"""Of a share that is added up over micro-batches."""
SAID = {
    "0": "no sample scored below tau {tau:.3g}: this is supervised tuning. Set method.tau higher",
    "1": "every worst sample scored below tau {tau:.3g}: it selects nothing. Set method.tau lower",
}
"""What is said of a share kept of 0 and of 1."""


@dataclass(frozen=True)
class Candidates:
    """K samples of each of B prompts. states (B, K, ...), rewards (B, K), raw terms (B, K) each."""

    states: Tensor  # (B, K, ...)
    rewards: Tensor  # (B, K)
    terms: Numbers


@dataclass(frozen=True)
class Judged:
    """A micro-batch's losses (B,), what to log of them, and what the reward said of samples, where any were made."""

    losses: Tensor  # (B,)
    numbers: Numbers
    candidates: Candidates | None = None


def dpo(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """One update point: given pairs, or best against worst of the candidates of each prompt."""
    method = context.method
    assert isinstance(method, DpoPreset)
    beta = method.strength("diffusion")

    def judged(number: int, micro_batch: MicroBatch) -> Judged:
        start = micro_batch.start
        if micro_batch.worse is not None:
            errors = compared(context, start, *_given(context, micro_batch), rng)
            return Judged(dpo_loss(errors, beta), _told(errors, beta))
        made = candidates(context, start, method.candidates)
        rows = torch.arange(len(made.rewards), device=made.rewards.device)  # (B,)
        best, worst = (made.states[rows, found] for found in (made.rewards.argmax(1), made.rewards.argmin(1)))
        errors = compared(context, start, best, worst, rng)
        clear = made.rewards.amax(1) - made.rewards.amin(1) > method.margin  # (B,) bool
        return Judged(dpo_loss(errors, beta) * clear, _told(errors, beta), made)

    yield _accumulated(context, micro_batches, judged)


def sopo(
    context: TuningContext, micro_batches: Sequence[MicroBatch], plan: Plan, rng: Random
) -> Iterator[UpdatePoint]:
    """One update point: the recorded motion against the worst sample, where that is bad enough."""
    method = context.method
    assert isinstance(method, SopoPreset)
    sampled = [candidates(context, micro_batch.start, method.candidates) for micro_batch in micro_batches]
    tau = threshold(context, torch.cat([in_unit(context, "semantic", made.terms) for made in sampled]))

    def judged(number: int, micro_batch: MicroBatch) -> Judged:
        made = sampled[number]
        choice = chosen(context, method, made, tau)
        rows = torch.arange(len(choice.worst), device=choice.worst.device)  # (B,)
        truth = recorded_state(context, micro_batch)  # (B, ...)
        errors = compared(context, micro_batch.start, truth, made.states[rows, choice.worst], rng)
        numbers = {**_told(errors, method.beta), "kept": choice.keep.mean(), "weight": choice.weight.mean()}
        return Judged(sopo_loss(errors, choice, method.beta, method.scale), numbers, made)

    point = _accumulated(context, micro_batches, judged)
    prompts = sum(len(made.rewards) for made in sampled)
    watch_share(context, float(point.numbers["kept"]), prompts, tau)
    yield point


def chosen(context: TuningContext, method: SopoPreset, made: Candidates, tau: float) -> SopoChoice:
    """SoPo's choice among candidates, or what a published ablation makes of it."""
    scores = in_unit(context, "semantic", made.terms)  # (B, K)
    likeness = in_unit(context, "similarity", made.terms) if method.weighs else torch.ones_like(scores)
    choice = sopo_choice(scores, likeness, tau, method.c, method.beta)
    choice = choice if method.selects else choice.without_threshold()
    return choice if method.weighs else choice.without_weight(method.beta)


def in_unit(context: TuningContext, term: str, terms: Numbers) -> Tensor:
    """A term on [0, 1], by the range that its reward declares: a cosine is mapped, TMR's score is there already.

    Raises:
        UserError: the reward has no such term, or declares no range for it.
    """
    if term not in terms or term not in context.ranges:
        found = ", ".join(context.ranges) or "none"
        raise UserError(
            f"sopo compares the reward's {term!r} term with a threshold on [0, 1]; this reward declares a range for: "
            f"{found}. Set weights.{term} to more than 0, or take a reward that has it."
        )
    low, high = context.ranges[term]
    return (terms[term] - low) / (high - low)  # (B, K)


def threshold(context: TuningContext, scores: Tensor) -> float:
    """The preset's tau; `auto` is a quantile of the first prompts' worst scores, which the untuned generator made, or,
    where a batch has few prompts, one that a few updates have hardly changed.

    Args:
        scores: (B, K) on [0, 1], of the samples of this update.
    """
    method = context.method
    assert isinstance(method, SopoPreset)
    if method.tau != "auto":
        return method.tau
    if TAU not in context.memory or SEEN in context.memory:
        everyone = context.company.gather(scores.amin(1).float().tolist())
        seen = context.memory.setdefault(SEEN, [])
        seen.extend(score for there in everyone for score in there)
        found = float(torch.tensor(seen).quantile(method.quantile))
        context.memory[TAU] = found
        if len(seen) >= ENOUGH:
            del context.memory[SEEN]
            context.say(
                f"tau is {found:.3f}: {method.quantile:.0%} of the untuned generator's worst samples are below."
            )
    return float(context.memory[TAU])


def watch_share(context: TuningContext, kept: float, prompts: int, tau: float) -> None:
    """Say where for `WATCHED` prompts on end no worst sample was bad enough, or every one was; once while it lasts.

    Args:
        kept: share of this update's prompts whose worst sample was bad enough.
    """
    method = context.method
    assert isinstance(method, SopoPreset)
    if not method.selects:
        return
    on_end = context.memory.setdefault(SHARES, dict.fromkeys(SAID, 0))
    for share, what in SAID.items():
        before = on_end[share]
        on_end[share] = before + prompts if abs(kept - float(share)) < ROUNDING else 0
        if before < WATCHED <= on_end[share]:
            said = what.format(tau=tau)
            context.say(f"Of the last {on_end[share]} prompts {said}, or to auto.")


@torch.no_grad()
def candidates(context: TuningContext, start: Start, count: int) -> Candidates:
    """`count` samples of each prompt, as clean states, judged."""
    several = grouped(start, count)
    with context.autocast():
        states = sample(context.generator, context.process, several, context.guidance)  # (B K, ...)
        motion = context.generator.decode(states, several.lengths, several.frames)  # (B K, T, D)
        rewards, terms = context.reward(motion, several.lengths, several.reward_condition, 0)
    raw = {name: value.view(-1, count) for name, value in terms.items()}  # (B, K) each
    return Candidates(states.unflatten(0, (-1, count)), rewards.view(-1, count), raw)


def _given(context: TuningContext, micro_batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Clean states (B, ...) of the better and the worse motions of given pairs."""
    assert micro_batch.worse is not None
    return recorded_state(context, micro_batch), encoded(context, micro_batch.worse, micro_batch.start)


def compared(context: TuningContext, start: Start, won: Tensor, lost: Tensor, rng: Random) -> PairValues:
    """Errors of both states under the tuned and the untuned generator, with the same times and noise.

    The noise is no state's own: a sample corrupted with the very noise that it was made from lies near its own
    trajectory, and its error is a fifth of what it is under any other.
    """
    corruption = drawn(context, start, rng)
    errors = [denoising_error(context, start, state, corruption) for state in (won, lost)]  # (B,) each
    with torch.no_grad(), context.frozen():
        untuned = [denoising_error(context, start, state, corruption) for state in (won, lost)]
    return PairValues(errors[0], errors[1], untuned[0], untuned[1])


def _told(errors: PairValues, beta: float) -> Numbers:
    """What is worth logging: how often a pair is ordered right, and both errors against the reference."""
    right = (dpo_margin(errors, beta) > 0).float().mean()  # () of margins (B,)
    return {
        "accuracy": right,
        "won_drift": errors.won_drift.mean(),
        "lost_drift": errors.lost_drift.mean(),
    }


def _accumulated(
    context: TuningContext,
    micro_batches: Sequence[MicroBatch],
    judged_of: Callable[[int, MicroBatch], Judged],
) -> UpdatePoint:
    """Backward over the micro-batches, one graph at a time, and what to log of all of them."""
    total, made = micro_batches[0].start.noise.new_zeros(()), []
    numbers: Numbers = {}
    for number, micro_batch in enumerate(micro_batches):
        with context.autocast():
            judged = judged_of(number, micro_batch)
            loss = judged.losses.mean()
        context.meter.mark()
        context.backward(loss * micro_batch.share)
        total = total + loss.detach() * micro_batch.share
        for name, value in judged.numbers.items():
            numbers[name] = numbers.get(name, torch.zeros_like(value)) + value.detach() * micro_batch.share
        if judged.candidates is not None:
            made.append(judged.candidates)
    if not made:
        return UpdatePoint(total, numbers=numbers)
    terms = {name: torch.cat([one.terms[name].flatten() for one in made]) for name in made[0].terms}
    return UpdatePoint(
        total, rewards=torch.cat([one.rewards.flatten() for one in made]), terms=terms, numbers=numbers
    )
