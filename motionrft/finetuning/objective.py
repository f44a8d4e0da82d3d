"""What a batch of prompts becomes: gradients, and the update points at which the weights should move.

An objective is a generator function `(context, micro-batches, plan, rng) -> Iterator[UpdatePoint]`. It runs backward
itself and yields when an optimiser step is due; the trainer steps and asks for the next update point. Nothing else
tells methods apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any

from torch import Tensor

from motionrft.diffusion.plan import Plan
from motionrft.diffusion.process import Process
from motionrft.diffusion.rollout import Compiled, RewardFunction, Start
from motionrft.finetuning.methods.base import MethodPreset
from motionrft.generators.base import Generator
from motionrft.training.distribution import Distribution
from motionrft.training.memory import GraphBytes


@dataclass(frozen=True)
class MicroBatch:
    """The part of a batch that is computed at once.

    share: its part of the whole batch, by which its mean loss is weighted.
    items: (B,) positions among the prompts; motion: (B, T, D) their recorded motions, where the method needs
        them, or the better ones of given pairs; worse: (B, T, D) the others.
    """

    start: Start
    share: float
    items: Tensor  # (B,)
    motion: Tensor | None = None  # (B, T, D)
    worse: Tensor | None = None  # (B, T, D)


@dataclass(frozen=True)
class TuningContext:
    """What an objective works with.

    reward: the reward function; frozen: inside this context the generator is the untuned one.
    autocast: the precision of the arithmetic; meter: to be marked right before each backward.
    backward: adds a loss's gradient (through a loss scale, where the precision needs one).
    compiled: faster forms of the generator's and the reward's calls, or None.
    ranges: lowest and highest value of the reward's terms, where it declares any.
    memory: what a method remembers from one trajectory to the next, by name; part of the run's saved state.
    say: told what people should know.
    company: the processes of the run: what is true of the whole batch is asked of all of them.
    """

    generator: Generator
    process: Process
    reward: RewardFunction
    guidance: float
    method: MethodPreset
    frozen: Callable[[], AbstractContextManager[None]]
    autocast: Callable[[], AbstractContextManager[object]]
    meter: GraphBytes
    backward: Callable[[Tensor], None] = Tensor.backward
    compiled: Compiled | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None
    company: Distribution = field(default_factory=Distribution)


@dataclass(frozen=True)
class UpdatePoint:
    """Gradients are in place and the weights should move.

    position, t: of the denoising step, None where the loss belongs to none.
    loss: (); rewards: (B,) of the batch or None; terms: raw reward terms, (B,) each; numbers: anything else,
        ().
    chain: the step is for the second copy of the weights.
    """

    loss: Tensor
    position: int | None = None
    t: Tensor | None = None
    rewards: Tensor | None = None  # (B,)
    terms: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, Tensor] = field(default_factory=dict)
    chain: bool = False


Objective = Callable[[TuningContext, Sequence[MicroBatch], Plan, Random], Iterator[UpdatePoint]]


def load_objective(name: str) -> Objective:
    """The objective called `module:function`."""
    module, _, attribute = name.partition(":")
    found: Objective = getattr(import_module(module), attribute)
    return found
