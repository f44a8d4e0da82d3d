"""What motion tokens are sampled with, and the draw of one token."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.kinds import Ending


@dataclass(frozen=True)
class TokenSampling:
    """A change of any of these makes other motions of the same weights.

    temperature: divides the logits; 0 takes the likeliest. top_k: only so many of the likeliest; 0 for all.
    guidance: scale of classifier-free guidance on the logits, 1 for none. fps: frames a second of the motions.
    masked: only tokens that a motion can have at its place are drawn; without it, some of what is written is no motion.
    ending: as `motionrft.generators.kinds.Ending` says; published evaluations `cut`.
    """

    temperature: float
    top_k: int
    masked: bool
    ending: Ending
    fps: float
    guidance: float = 1.0

    @classmethod
    def of(cls, values: Mapping[str, Any], origin: str) -> "TokenSampling":
        """Read what `plain` wrote; raises `UserError` where a field is missing, unknown or impossible."""
        try:
            return cls(**values).checked(origin)
        except TypeError as error:
            raise UserError(f"{origin}: its sampling settings cannot be read ({error}).") from None

    def plain(self) -> dict[str, Any]:
        """JSON values by name."""
        return asdict(self)

    @property
    def title(self) -> str:
        """In words: `temperature 1, top 50, lengths as asked`."""
        top = f", top {self.top_k}" if self.top_k else ""
        ends = {"asked": "lengths as asked", "own": "lengths of its own", "cut": "own lengths, cut"}[
            self.ending
        ]
        guided = f", guidance {self.guidance:g}" if self.guidance != 1 else ""
        return f"temperature {self.temperature:g}{top}{guided}, {ends}" + (
            "" if self.masked else ", unmasked"
        )

    def checked(self, origin: str) -> "TokenSampling":
        """Itself; raises `UserError` where nothing can be sampled so."""
        if self.ending not in get_args(Ending):
            raise UserError(f"{origin}: ending is {self.ending!r}; there are {', '.join(get_args(Ending))}.")
        if not self.masked and self.ending == "asked":
            raise UserError(
                f"{origin}: an unmasked motion may end anywhere: set ending to own or cut, or masked to true."
            )
        return self


def allowed_logits(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    """Logits (B, V) of what is drawn from: divided by the temperature, all but the `top_k` largest at -inf (0: all stay).

    Softmax of it is the distribution; equal to the published `top_k` filter, which keeps ties of the smallest kept one.
    """
    scaled = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        least = scaled.topk(top_k, dim=-1).values[:, -1:]  # (B, 1)
        scaled = scaled.masked_fill(scaled < least, float("-inf"))
    return scaled


class TokenDraws:
    """One token an item, each from its own random generator, so that no item's depends on its batch.

    A token is drawn as the largest of logit + Gumbel noise (Gumbel 1954): where two batches round a logit differently, a
    draw changes only if two ids are tied to that rounding.

    Args:
        seeds: one an item. device: of the logits.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device):
        self.randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def draw(self, logits: Tensor, sampling: TokenSampling) -> Tensor:
        """Ids (B,) from logits (B, V), where -inf is never drawn."""
        if sampling.temperature == 0:
            return logits.argmax(-1)
        width = logits.shape[-1]
        uniform = torch.stack(
            [torch.rand(width, generator=random, dtype=torch.float64) for random in self.randoms]
        )  # (B, V)
        gumbel = -torch.log(-torch.log(uniform.clamp_min(torch.finfo(torch.float64).tiny)))
        kept = allowed_logits(logits.double(), sampling.temperature, sampling.top_k)
        return (kept + gumbel.to(self.device)).argmax(-1)
