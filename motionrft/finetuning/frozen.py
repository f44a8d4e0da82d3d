"""The generator as it was before tuning, at hand during the tuning."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from motionrft.generators.base import Generator


class FrozenTwin:
    """Puts the untuned denoiser in place for a while.

    With adapters it is the same network with the adapters off; otherwise an early copy.
    """

    def __init__(self, generator: Generator):
        self.generator = generator
        self.copy: nn.Module | None = None
        if not hasattr(generator.denoiser, "disable_adapter"):
            self.copy = copy.deepcopy(generator.denoiser).eval().requires_grad_(False)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self.copy is None:
            with self.generator.denoiser.disable_adapter():  # type: ignore[operator]
                yield
            return
        tuned = self.generator.denoiser
        self.generator.denoiser = self.copy
        try:
            yield
        finally:
            self.generator.denoiser = tuned
