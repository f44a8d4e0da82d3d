"""What a motion is sampled with: one thing that travels from tuning to the watch, the tables, the model and a result."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from motionrft.errors import UserError

TAKES_ETA = ("ddim", "euler")
"""Our samplers whose noise eta sets; the others have a noise of their own, or none."""


@dataclass(frozen=True)
class SamplingSettings:
    """A change of any of these makes other motions of the same weights.

    sampler: as the family calls it; None where the family names none.
    eta: noise of DDIM or Euler steps, 0 to 1. steps: denoising steps; None where the sampler chooses them (dopri5).
    guidance: scale of classifier-free guidance, 1 for none. fps: frames a second of the motions.
    """

    sampler: str | None
    eta: float
    steps: int | None
    guidance: float
    fps: float

    @classmethod
    def of(cls, values: Mapping[str, Any], origin: str) -> "SamplingSettings":
        """Read what `plain` wrote.

        Raises:
            UserError: a field is missing or unknown.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"{origin}: its sampling settings cannot be read ({error}).") from None

    def plain(self) -> dict[str, Any]:
        """JSON values by name."""
        return asdict(self)

    @property
    def title(self) -> str:
        """In words: `ddim, 50 steps, guidance 7.5`, eta where there is any."""
        steps = "its own steps" if self.steps is None else f"{self.steps} steps"
        parts = [self.sampler or "", steps, f"eta {self.eta:g}" if self.eta else ""]
        return ", ".join([part for part in parts if part] + [f"guidance {self.guidance:g}"])


def chosen_first(
    published: Mapping[str, int | None], sampler: str, steps: int | None
) -> dict[str, int | None]:
    """A family's samplers with the one that a configuration names first, at the configuration's steps."""
    first = {sampler: published.get(sampler) if steps is None else steps}
    return first | {name: count for name, count in published.items() if name != sampler}


def flow_samplers(sampler: str, steps: int) -> dict[str, int | None]:
    """Samplers of a flow: two with fixed steps, and the adaptive one, which cannot be tuned through."""
    return chosen_first({"euler": steps, "heun": steps, "dopri5": None}, sampler, None)
