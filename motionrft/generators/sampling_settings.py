"""What a motion is sampled with: one thing that travels from tuning to the watch, the tables, the model and a result."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from motionrft.diffusion.sampler import Suits, samplers_for
from motionrft.errors import UserError


@dataclass(frozen=True)
class SamplingSettings:
    """A change of any of these makes other motions of the same weights.

    sampler: as the family calls it; None where the family names none.
    eta: noise of DDIM or Euler steps, 0 for none. steps: denoising steps; None where the sampler chooses them (dopri5).
    guidance: scale of classifier-free guidance, 1 for none. fps: frames a second of the motions.
    shift: of a flow's times; above 1 more of the steps lie near the noise.
    """

    sampler: str | None
    eta: float
    steps: int | None
    guidance: float
    fps: float
    shift: float = 1.0

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
        parts.append(f"shift {self.shift:g}" if self.shift != 1 else "")
        return ", ".join([part for part in parts if part] + [f"guidance {self.guidance:g}"])


def offered(
    suits: Suits, sampler: str | None = None, steps: int | None = None, times: int | None = None
) -> dict[str, int | None]:
    """The samplers that suit a process with their usual numbers of steps (None: it chooses them), the family's first.

    Args:
        sampler, steps: the family's published choice; None leaves the table's order, or the sampler's usual steps.
        times: training times of a discrete schedule, which no number of steps exceeds.
    """
    usual: dict[str, int | None] = {}
    for name, each in samplers_for(suits).items():
        wanted = steps if steps is not None and (name == sampler or suits == "flow") else each.steps or times
        usual[name] = None if each.adaptive else min(wanted or 1, times or wanted or 1)
    first = {} if sampler is None else {sampler: usual[sampler]}
    return {**first, **usual}
