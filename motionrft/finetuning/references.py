"""What the `similarity` term compares with: the frozen generator's own output for the same prompt and noise."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.process import Process
from motionrft.diffusion.rollout import Start, sample
from motionrft.generators.base import Generator
from motionrft.moving import moved
from motionrft.reward.base import Reward

Key = tuple[int, int, int]
"""A prompt, which of its captions it says, and the number of its noise."""
_KEY = 3


class References:
    """Reward embeddings of the frozen generator's output.

    Computed when first needed, without gradient, and kept by `Key`.

    Args:
        guidance: scale of the frozen trajectory. A scale above the tuned one's makes the term pull towards
            what guidance would have given.
        frozen: inside this context the generator is the untuned one.
        keep: whether references will be met again; ever new noise would fill the memory.
    """

    def __init__(
        self,
        generator: Generator,
        process: Process,
        reward: Reward,
        guidance: float,
        frozen: Callable[[], AbstractContextManager[None]],
        keep: bool,
    ):
        self.generator, self.process, self.reward = generator, process, reward
        self.guidance, self.frozen, self.keep = guidance, frozen, keep
        self.known: dict[Key, Tensor] = {}

    def __call__(self, keys: Sequence[Key], texts: Sequence[str], start: Start) -> Tensor:
        """(B, L) embeddings for the items of `start`, which `keys` names."""
        missing = [row for row, key in enumerate(keys) if key not in self.known]
        fresh: dict[Key, Tensor] = {}
        if missing:
            embedded = self._compute([texts[row] for row in missing], _rows(start, missing))
            fresh = dict(zip((keys[row] for row in missing), embedded, strict=True))
        if self.keep:
            self.known.update(fresh)
        return torch.stack([fresh[key] if key in fresh else self.known[key] for key in keys])  # (B, L)

    def _compute(self, texts: Sequence[str], start: Start) -> Tensor:
        with torch.no_grad(), self.frozen():
            state = sample(self.generator, self.process, start, self.guidance)  # (B, ...)
            motion = self.generator.decode(state, start.lengths, start.frames)  # (B, T, D)
            reference = self.reward.prepare(texts, motion, start.lengths).reference  # (B, L)
        assert reference is not None, "this reward compares with no reference"
        return reference

    def state_dict(self) -> dict[str, Any]:
        """The known embeddings: recomputed in other batches, they would differ in the last bit."""
        keys = sorted(self.known)
        rows = [self.known[key] for key in keys]
        return {
            "keys": torch.tensor(keys).reshape(-1, _KEY),
            "rows": torch.stack(rows) if rows else torch.empty(0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up known embeddings; those of runs from before captions changed are computed anew."""
        keys = state["keys"]
        self.known = {}
        if keys.shape[1] == _KEY:
            rows = state["rows"].to(self.process.timesteps.device)
            named = [(int(item), int(caption), int(number)) for item, caption, number in keys]
            self.known = dict(zip(named, rows, strict=True))


def _rows(start: Start, rows: Sequence[int]) -> Start:
    """Some items of a start."""
    items = moved(torch.tensor(rows), start.lengths.device)
    draw = start.draw
    return Start(
        start.noise[items],
        start.condition.index(items),
        start.lengths[items],
        None,
        start.frames,
        None if draw is None else lambda n: draw(n)[items],
    )
