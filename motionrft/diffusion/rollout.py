"""THE loop over denoising steps: sampling, and every reward method, by the answers of a plan.

The loop is a Python generator that yields each step, so the caller decides what to keep and when to run
backward. Whoever runs backward on a judged step does so before asking for the next one. Two rules make all
methods one loop:

- The sampler's arithmetic runs outside `no_grad`: a step without a graph of its own still hands on the
  gradient of earlier steps along its linear path. Only `detach = all` cuts a trajectory.
- The state carried over an update was computed with the weights before it, and its graph is gone: it is
  detached.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from motionrft.diffusion.plan import Plan, StepPlan, sampling_plan, visited
from motionrft.diffusion.process import Process, Step
from motionrft.diffusion.schedule import Schedule, StraightPath

Predict = Callable[..., Tensor]
"""As `Denoises.predict`."""

RewardFunction = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""A reward: (motion, lengths, condition, t) -> total (B,) and its raw terms by name, each (B,)."""


@dataclass(frozen=True)
class Padding:
    """Frames and text tokens that batches are padded to a multiple of."""

    frames: int
    tokens: int


@dataclass(frozen=True)
class Compiled:
    """Faster forms of what a step calls; each is the same function of the same arguments.

    predict: `Denoises.predict`.
    judged: (state, lengths, frames, reward condition, level) to what a `RewardFunction` gives, decoding included.
    chains: whether `predict` may run again before the backward of an earlier call; a captured graph may not.
    begin: called at the start of every step.
    padding: how batches are best padded, so that few shapes occur.
    """

    predict: Predict
    judged: RewardFunction
    chains: bool = True
    begin: Callable[[], None] | None = None
    padding: Padding | None = None


class Indexed(Protocol):
    """A batch of conditions, of a generator or of a reward."""

    def index(self, items: Tensor) -> Self: ...


class Denoises(Protocol):
    """What the loop needs of a generator (`motionrft.generators.base.Generator`)."""

    schedule: Schedule | StraightPath

    def predict(self, x: Tensor, t: Tensor, condition: Any, lengths: Tensor, guidance: float) -> Tensor: ...

    def decode(self, x: Tensor, lengths: Tensor, frames: int | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Start:
    """What a trajectory of B items starts from.

    noise: initial state, the generator's `noise_shape`.
    condition: the generator's condition of B prompts; reward condition: what the reward knows of them.
    lengths: (B,) valid frames; frames: T that motions are padded to, None asks the device for the longest.
    draw: fresh noise like `noise` for draw number n, needed by stochastic steps and re-noised copies.
    """

    noise: Tensor
    condition: Indexed
    lengths: Tensor
    reward_condition: Indexed | None = None
    frames: int | None = None
    draw: Callable[[int], Tensor] | None = None

    def repeated(self, copies: int) -> "Start":
        """The batch `copies` times over, (copies * B) items."""
        return self.index(torch.arange(len(self.lengths), device=self.lengths.device).repeat(copies))

    def index(self, items: Tensor) -> "Start":
        """The chosen items (N,), in that order; `draw` still draws for the whole batch."""
        return replace(
            self,
            noise=self.noise[items],
            condition=self.condition.index(items),
            lengths=self.lengths[items],
            reward_condition=None if self.reward_condition is None else self.reward_condition.index(items),
        )


@dataclass(frozen=True)
class Visit:
    """One denoising step as it happened: from state `x`, with the reward where the plan judged."""

    position: int
    plan: StepPlan
    x: Tensor
    step: Step
    memory: Tensor | None = None
    reward: Tensor | None = None
    terms: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Walk:
    """What every step of a trajectory needs.

    Args:
        guidance: scale handed to `generator.predict`.
        reward: needed where a plan judges. Its gradient reaches the weights through a visit's `reward`.
        recompute: keep only the inputs of network calls with a graph, and run them again in backward.
        compiled: faster forms of the generator's and the reward's calls.
    """

    generator: Denoises
    process: Process
    guidance: float
    reward: RewardFunction | None = None
    recompute: bool = False
    compiled: Compiled | None = None

    def visits(self, start: Start, plan: Plan) -> Iterator[Visit]:
        """One `Visit` a position, up to the plan's first `last` one."""
        x, memory = start.noise, None  # (B, ...)
        for i, answers in enumerate(visited(plan)):
            if self.compiled is not None and self.compiled.begin is not None:
                self.compiled.begin()
            if answers.detach == "all":
                x, memory = _cut(x), _cut(memory)
            if answers.copies > 1:
                x = self._renoised_copies(start, x, memory, i, answers.copies)  # (copies * B, ...)
                start, memory = start.repeated(answers.copies), None
            prediction = self._predict(start, x, i, answers)
            step = self.process.step(prediction, x, i, self._draw(start, i), memory)
            del prediction
            reward, terms = self._judge(start, step, i, answers)
            yield Visit(i, answers, x, step, memory, reward, terms)
            cut = answers.update is not None or answers.detach == "all"
            x, memory = (_cut(step.sample), _cut(step.memory)) if cut else (step.sample, step.memory)
            del step, reward, terms

    def _predict(self, start: Start, x: Tensor, i: int, answers: StepPlan) -> Tensor:
        seen = x.detach() if answers.detach == "net" else x
        arguments = (seen, self.process.timesteps[i], start.condition, start.lengths, self.guidance)
        with torch.set_grad_enabled(answers.graph):
            if self.recompute and answers.graph:
                return checkpoint(self.generator.predict, *arguments, use_reentrant=False)
            # A graph that reaches back over several calls holds them all until its one backward.
            alone = not answers.graph or answers.detach == "all"
            if self.compiled is not None and (alone or self.compiled.chains):
                return self.compiled.predict(*arguments)
            return self.generator.predict(*arguments)

    def _judge(
        self, start: Start, step: Step, i: int, answers: StepPlan
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Decode and judge what the plan names, under autograd exactly when there is something to learn."""
        if answers.reward is None:
            return None, {}
        assert self.reward is not None, "the plan judges, but the rollout was given no reward"
        state, level = (step.x0, 0) if answers.reward == "x0" else (step.sample, self.process.levels[i + 1])
        with torch.set_grad_enabled(state.requires_grad):
            if self.compiled is not None:
                return self.compiled.judged(state, start.lengths, start.frames, start.reward_condition, level)
            motion = self.generator.decode(state, start.lengths, start.frames)  # (B, T, D)
            return self.reward(motion, start.lengths, start.reward_condition, level)  # (B,) and (B,) a term

    def _renoised_copies(self, start: Start, x: Tensor, memory: Tensor | None, i: int, copies: int) -> Tensor:
        """Finish the step without a graph, then lay its clean end back to this step's level under fresh noises."""
        assert start.draw is not None, "re-noised copies need fresh noise"
        t = self.process.timesteps[i]  # ()
        with torch.no_grad():
            prediction = self.generator.predict(x, t, start.condition, start.lengths, self.guidance)
            clean = self.process.step(prediction, x, i, self._draw(start, i), memory).x0
            noises = (start.draw(self.process.steps + n) for n in range(copies))  # (B, ...) each
            return torch.cat([self.generator.schedule.add_noise(clean, noise, t) for noise in noises])

    def _draw(self, start: Start, i: int) -> Tensor | None:
        """Noise (B, ...) of a stochastic step; re-noised copies of a batch share it."""
        if not self.process.stochastic[i] or start.draw is None:
            return None
        noise = start.draw(i)  # the state's shape, (B, ...)
        return noise.repeat(len(start.lengths) // len(noise), *(1,) * (noise.dim() - 1))


def rollout(
    generator: Denoises,
    process: Process,
    start: Start,
    plan: Plan,
    guidance: float,
    reward: RewardFunction | None = None,
    recompute: bool = False,
    compiled: Compiled | None = None,
) -> Iterator[Visit]:
    """Walk a trajectory by its plan, which has an answer for each of the process's S positions.

    Arguments as `Walk`. Yields a `Visit` a position; one whose `reward` does not require gradient has nothing to
    learn from.
    """
    return Walk(generator, process, guidance, reward, recompute, compiled).visits(start, plan)


def sample(generator: Denoises, process: Process, start: Start, guidance: float) -> Tensor:
    """The end of a plain trajectory: the clean state (B, ...), without gradient."""
    with torch.no_grad():
        for visit in rollout(generator, process, start, sampling_plan(process.steps), guidance):
            end = visit.step.sample
    return end


def _cut(state: Tensor | None) -> Any:
    return None if state is None else state.detach()
