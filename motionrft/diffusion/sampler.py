"""What a sampler is: one object in its own file, and one line in `motionrft.registry.SAMPLERS`.

Every family whose process it suits then offers it: `sample --sampler`, fine-tuning and evaluation ask the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from motionrft.diffusion.parametrisation import Parametrisation
from motionrft.diffusion.process import Process
from motionrft.diffusion.schedule import Schedule, StraightPath
from motionrft.errors import UserError
from motionrft.registry import SAMPLERS

Suits = Literal["diffusion", "flow", "consistency"]
"""Discrete noise schedules; straight paths; the networks of consistency distillation, which are diffusions as well."""


@dataclass(frozen=True)
class Chain:
    """What a sampler is told of a generator and of what is wanted.

    options: what the family publishes of this sampler (DDIM's offset, say), as keyword arguments of its table.
    """

    schedule: Schedule | StraightPath
    kind: Parametrisation
    steps: int
    eta: float = 0.0
    shift: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def discrete(self) -> Schedule:
        """The schedule of a diffusion."""
        assert isinstance(self.schedule, Schedule), "this sampler suits a discrete schedule"
        return self.schedule


@dataclass(frozen=True)
class Sampler:
    """A sampler.

    build: its precomputed process; None where it chooses its steps as it goes and can only sample.
    suits: what it walks.
    steps: usual number of steps; None takes every training time.
    eta: usual noise, where `takes_eta` says that it can be set.
    solve: of one without a process: from dx/dt, a function of t () and the state, and the initial state to the end.
    """

    build: Callable[[Chain], Process] | None
    suits: Suits
    steps: int | None = None
    takes_eta: bool = False
    eta: float = 0.0
    solve: Callable[[Callable[[Tensor, Tensor], Tensor], Tensor], Tensor] | None = None

    @property
    def adaptive(self) -> bool:
        """Whether it takes steps of its own choice."""
        return self.build is None


def sampler_named(name: str) -> Sampler:
    """One of the table; raises `UserError` for another name."""
    found: Sampler = SAMPLERS.load(name)
    return found


def samplers_for(suits: Suits) -> dict[str, Sampler]:
    """The samplers that walk such a process, in the table's order."""
    wanted = ("diffusion", "consistency") if suits == "consistency" else (suits,)
    return {name: each for name in SAMPLERS.names() if (each := sampler_named(name)).suits in wanted}


def build_process(name: str, chain: Chain) -> Process:
    """The process of that sampler.

    Raises:
        UserError: nobody has that name, it takes no noise but some is asked for, or it has no positions (`dopri5`): it
            samples, but cannot be tuned.
    """
    sampler = sampler_named(name)
    if chain.eta and not sampler.takes_eta:
        takers = " or ".join(name for name, each in samplers_for(sampler.suits).items() if each.takes_eta)
        raise UserError(
            f"{name} takes no noise of that kind, but eta is {chain.eta:g}. Set sampler to {takers}, or eta to 0."
        )
    if sampler.build is None:
        raise UserError(
            f"{name} takes steps of its own choice: it samples, but nothing can be tuned through it."
        )
    return sampler.build(chain)
