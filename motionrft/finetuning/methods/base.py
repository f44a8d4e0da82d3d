"""What every method's settings share. Free of torch: presets are checked and plans shown without loading it."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from motionrft.diffusion.plan import Plan
from motionrft.errors import UserError
from motionrft.generators.kinds import Kind
from motionrft.registry import METHODS
from motionrft.settings.base import PresetPart

TRAJECTORY = "motionrft.finetuning.trajectory:updates"
"""The objective of every method whose plan says it all."""


class MethodPreset(PresetPart):
    """Settings of one method; each subclass names itself in its `method` field."""

    method: str
    """The method's name in the table: a `Literal` of each subclass, by which presets tell them apart."""
    needs: ClassVar[frozenset[str]] = frozenset({"reward", "gradient"})
    """What a batch must bring: `reward`, and its `gradient` with respect to the motion; `motion` (recorded) and `noise`
    (stochastic steps) for some methods.
    """

    fits: ClassVar[frozenset[Kind]] = frozenset({"diffusion"})
    """Kinds of generators that it can tune: `diffusion`, `tokens` (`motionrft.generators.kinds.Kind`)."""
    takes_pairs: ClassVar[bool] = False
    """Whether it learns from given pairs of motions, instead of own samples."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Terms of the reward that the method compares itself, beside their weighted sum."""
        return ()

    recompute: bool = Field(
        False, description="run network calls again in backward: less memory, about a third more compute"
    )

    @property
    def updates_a_batch(self) -> int:
        """Optimiser updates a batch of prompts makes, for a method whose plan does not say."""
        return 1


@dataclass(frozen=True)
class Method:
    """A method is its settings and a pure function (steps, settings, training progress, rng) -> plan.

    objective: where a batch is turned into gradients, `module:function`; loaded when training starts.
    """

    preset: type[MethodPreset]
    plan: Callable[..., Plan]
    objective: str = TRAJECTORY

    @property
    def follows_plan(self) -> bool:
        """Whether the plan itself says what is judged and when the weights move."""
        return self.objective == TRAJECTORY


def check_fits(count: int, steps: int, field: str) -> None:
    """Refuse a number of denoising steps that the trajectory does not have.

    Raises:
        UserError: `count` exceeds `steps`.
    """
    if count > steps:
        raise UserError(
            f"method.{field} is {count}, but the trajectory has {steps} denoising steps. "
            f"Lower method.{field} or raise --steps."
        )


def method_named(name: str) -> Method:
    """A method of the table `motionrft.registry.METHODS`.

    Raises:
        UserError: nobody has that name, or what a package brings under it is no method of that name.
    """
    found = METHODS.load(name)
    if not isinstance(found, Method):
        raise UserError(f"method {name}: {found!r} is no motionrft.finetuning.methods.base.Method")
    own = found.preset.model_fields["method"].default
    if own != name:
        raise UserError(
            f"method {name}: the `method` field of its settings says {own!r}; it has to be {name!r}"
        )
    return found


def usable_methods() -> dict[str, Method]:
    """Every method that loads; one that does not tells why when it is asked for by name."""
    found = {}
    for name in METHODS.names():
        with suppress(UserError):
            found[name] = method_named(name)
    return found


def plan_of(preset: MethodPreset, steps: int, progress: float, rng: random.Random) -> Plan:
    """The plan of one trajectory of `steps` denoising steps, at `progress` in [0, 1] of training."""
    return method_named(preset.method).plan(steps, preset, progress, rng)
