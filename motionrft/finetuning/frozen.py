"""The generator as it was before tuning, at hand during the tuning."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from motionrft.generators.text_to_motion import TextToMotion


class FrozenTwin:
    """Puts the untuned network in place for a while.

    With adapters it is the same network with the adapters off; otherwise an early copy.
    """

    def __init__(self, generator: TextToMotion):
        self.generator = generator
        self.copy: nn.Module | None = None
        if not hasattr(generator.tuned, "disable_adapter"):
            self.copy = copy.deepcopy(generator.tuned).eval().requires_grad_(False)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if self.copy is None:
            with self.generator.tuned.disable_adapter():  # type: ignore[operator]
                yield
            return
        tuned = self.generator.tuned
        self.generator.use_tuned(self.copy)
        try:
            yield
        finally:
            self.generator.use_tuned(tuned)
