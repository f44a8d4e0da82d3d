"""What every method's settings share. Free of torch: presets are checked and plans shown without loading it."""

from typing import ClassVar

from pydantic import Field

from motionrft.errors import UserError
from motionrft.settings.base import PresetPart


class MethodPreset(PresetPart):
    """Settings of one method; each subclass names itself in its `method` field."""

    needs: ClassVar[frozenset[str]] = frozenset({"reward"})
    """What a batch must bring: `reward`; `motion` (recorded) and `noise` (stochastic steps) for some
    methods.
    """

    recompute: bool = Field(
        False, description="run network calls again in backward: less memory, about a third more compute"
    )


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
