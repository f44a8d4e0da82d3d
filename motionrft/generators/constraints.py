"""What a motion is asked for beside its text: where it faces first, and values that some of its features shall have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Constraints:
    """Of a batch of B motions.

    heading: (B,) radians that the first frame faces, 0 is +Z, counter-clockwise seen from above.
    observed, mask: (B, T, D) normalised features and 1 where they are asked for, else 0; None where nothing is.
    """

    heading: Tensor
    observed: Tensor | None = None
    mask: Tensor | None = None

    def index(self, items: Tensor) -> Constraints:
        parts = (None if part is None else part[items] for part in (self.observed, self.mask))
        return Constraints(self.heading[items], *parts)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Constraints:
        parts = (None if part is None else part.to(device, dtype) for part in (self.observed, self.mask))
        return Constraints(self.heading.to(device, dtype), *parts)

    def fitted(self, frames: int) -> Constraints:
        """For motions padded to `frames`: nothing is asked of what is added."""
        if self.mask is None or self.observed is None:
            return self
        missing = frames - self.mask.shape[1]
        parts = (F.pad(part, (0, 0, 0, missing)) for part in (self.observed, self.mask))
        return Constraints(self.heading, *parts)
