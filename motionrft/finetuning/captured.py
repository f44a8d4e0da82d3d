"""The same calls as `motionrft.finetuning.compiled`, captured in CUDA graphs as they are: seconds instead of minutes.

Nothing is translated, so the kernels and their results are those of the plain calls; only their launches are gone. A
capture serves one set of shapes, and keeps the memory of its activations. Batches of one padded length suit it best.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.diffusion.rollout import Compiled, Padding, RewardFunction
from motionrft.errors import is_out_of_memory
from motionrft.finetuning.cuda_graphs import CudaGraphs
from motionrft.generators.base import Generator

PADDING = Padding(frames=32, tokens=16)
SHAPES = 16
"""Sets of shapes that a call is captured for; what comes after that runs uncaptured."""


def captured(generator: Generator, reward: RewardFunction) -> Compiled:
    """`generator.predict`, and decoding with judgement, captured at their first call with each set of shapes.

    Args:
        generator: on a CUDA device; its weights may change in place between calls, but may not be replaced.
    """

    def decode_and_judge(
        state: Tensor, lengths: Tensor, frames: int | None, condition: Any, level: Any
    ) -> Any:
        return reward(generator.decode(state, lengths, frames), lengths, condition, level)

    return Compiled(
        _Captured(generator.predict, generator.denoiser, generator.device),
        _Captured(decode_and_judge, None, generator.device),
        chains=False,
        padding=PADDING,
    )


class _Captured:
    """A call whose tensors are copied to a fixed place, where its captured kernels read them.

    Args:
        trained: the module whose weights get gradients from this call, or None.
        device: where the call runs.
    """

    def __init__(self, call: Callable[..., Any], trained: nn.Module | None, device: torch.device) -> None:
        self.call, self.trained = call, trained
        self.known: dict[Hashable, Callable[..., Any]] = {}
        self.room = True  # False: the device has no memory for captures beside everything else
        self.graphs = CudaGraphs(device)

    def __call__(self, *arguments: Any) -> Any:
        tensors: list[Tensor] = []
        rest = _emptied(arguments, tensors)
        learns = torch.is_grad_enabled() and (
            any(tensor.requires_grad for tensor in tensors)
            or (self.trained is not None and any(p.requires_grad for p in self.trained.parameters()))
        )
        shapes = tuple((tensor.shape, tensor.dtype, tensor.requires_grad and learns) for tensor in tensors)
        key = (shapes, repr(rest), learns, _autocast_type())
        if key not in self.known and self.room and len(self.known) < SHAPES:
            try:
                self.known[key] = self._capture(rest, tensors, learns)
            except RuntimeError as error:
                if not _ended_by_memory(error):
                    raise
                self.room = False
            # Outside the except block: the exception's traceback would keep the failed capture's tensors alive.
            if not self.room:
                self.known.clear()  # what was captured holds memory that the calls themselves need
                self.graphs = CudaGraphs(self.graphs.device)
                torch.cuda.empty_cache()
        known = self.known.get(key)
        return self.call(*arguments) if known is None else known(*tensors)

    def _capture(self, rest: Any, tensors: list[Tensor], learns: bool) -> Callable[..., Any]:
        form: Any = None

        def call(*given: Tensor) -> list[Tensor]:
            nonlocal form
            answers: list[Tensor] = []
            form = _emptied(self.call(*_filled(rest, given)), answers)
            return answers

        with _without_cache():
            if learns:
                weights = [] if self.trained is None else self.trained.parameters()
                graph = self.graphs.with_backward(call, tensors, [p for p in weights if p.requires_grad])
            else:
                graph = self.graphs.forward(call, tensors)
        return lambda *given: _filled(form, graph(*given))


def _emptied(value: Any, tensors: list[Tensor]) -> Any:
    """`value` with every tensor moved to `tensors`, its number left in its place."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _Place(len(tensors) - 1)
    if isinstance(value, tuple):
        return tuple(_emptied(child, tensors) for child in value)
    if isinstance(value, dict):
        return {name: _emptied(child, tensors) for name, child in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _emptied(getattr(value, f.name), tensors) for f in fields(value)})
    return value


def _filled(value: Any, tensors: Sequence[Tensor]) -> Any:
    """The inverse of `_emptied`."""
    if isinstance(value, _Place):
        return tensors[value.number]
    if isinstance(value, tuple):
        return tuple(_filled(child, tensors) for child in value)
    if isinstance(value, dict):
        return {name: _filled(child, tensors) for name, child in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _filled(getattr(value, f.name), tensors) for f in fields(value)})
    return value


class _Place:
    """Where a tensor goes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"<{self.number}>"


def _ended_by_memory(error: BaseException | None) -> bool:
    """Whether a capture ran out of memory: the error itself, or the one that it was raised after."""
    while error is not None and not is_out_of_memory(error):
        error = error.__context__
    return error is not None


def _autocast_type() -> torch.dtype | None:
    return torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None


def _without_cache() -> Any:
    """Autocast without its cache of cast weights, which would outlive the weights that a graph reads."""
    dtype = _autocast_type()
    return nullcontext() if dtype is None else torch.autocast("cuda", dtype, cache_enabled=False)
