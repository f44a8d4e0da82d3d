"""Calls captured in CUDA graphs that share what they can: memory, one stream, one place for the weights' gradients.

What `torch.cuda.make_graphed_callables` makes of each set of shapes keeps gradients of all weights of its own, and gives
autograd their very memory: where two batches of equal shapes are added up, the second overwrites the first one's.
Here gradients are copied out, so sums are right, and every set of shapes leaves them in the same place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_WARM_UP = 3

Flat = Callable[..., list[Tensor]]
"""A call of tensors that gives a list of tensors."""


class CudaGraphs:
    """Captures of one call for several sets of shapes. One at a time may be between its forward and its backward."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()
        # The allocator lends a pool's memory by stream, so warm-ups and captures all run on this one.
        self.stream = torch.cuda.Stream(device)
        self.gradients: dict[nn.Parameter, Tensor] = {}
        """Where every capture's backward leaves the gradient of a weight, in ordinary memory."""
        self._nodes: list[Any] = []
        """The nodes of autograd that add up the weights' gradients: they keep the stream on which they first appear,
        which must not be the default one while another call is captured."""

    def forward(self, call: Flat, tensors: Sequence[Tensor]) -> Flat:
        """`call`, captured without gradients for tensors of these shapes."""
        places = [tensor.detach().clone() for tensor in tensors]
        graph = torch.cuda.CUDAGraph()
        with self._apart(), torch.no_grad():
            with torch.cuda.stream(self.stream):
                for _ in range(_WARM_UP):
                    call(*places)
            _free_workspaces()
            with self._capturing(graph):
                answers = call(*places)

        def replay(*given: Tensor) -> list[Tensor]:
            for place, tensor in zip(places, given, strict=True):
                place.copy_(tensor)
            graph.replay()
            return [answer.clone() for answer in answers]  # the next replay writes to the same place

        return replay

    def with_backward(self, call: Flat, tensors: Sequence[Tensor], weights: Sequence[nn.Parameter]) -> Flat:
        """`call` and its backward, captured for tensors of these shapes.

        Args:
            tensors: those that require a gradient get one.
            weights: what else gets gradients. They may change in place, but may not be replaced.
        """
        _expect_two_streams()
        places = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in tensors]
        sources = [*(place for place in places if place.requires_grad), *weights]
        with self._apart():
            with torch.cuda.stream(self.stream):
                self._nodes = self._nodes or [_node_of(weight) for weight in weights]
                for _ in range(_WARM_UP):
                    answers = call(*places)
                    learned = [answer for answer in answers if answer.requires_grad]
                    if learned:
                        _gradients(learned, sources, [torch.zeros_like(answer) for answer in learned])
            if not learned:
                return self.forward(call, tensors)
            given = [torch.zeros_like(answer) if answer.requires_grad else None for answer in answers]
            del answers, learned
            _free_workspaces()
            return self._captured_pair(call, places, weights, sources, given)

    def _captured_pair(
        self,
        call: Flat,
        places: list[Tensor],
        weights: Sequence[nn.Parameter],
        sources: list[Tensor],
        given: list[Tensor | None],
    ) -> Flat:
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        for weight in weights:
            if weight not in self.gradients:
                self.gradients[weight] = torch.zeros_like(weight)
        with self._capturing(forward):
            answers = call(*places)
        learned = [answer for answer in answers if answer.requires_grad]
        with self._capturing(backward):
            found = dict(zip(sources, _gradients(learned, sources, _there(given)), strict=True))
            used = [weight for weight in weights if found[weight] is not None]
            if used:
                torch._foreach_copy_([self.gradients[w] for w in used], _there(found[w] for w in used))
        pair = _Pair(
            forward,
            backward,
            places,
            [answer.detach() for answer in answers],
            given,
            [found[place] if place.requires_grad else None for place in places],
            [self.gradients[weight] if found[weight] is not None else None for weight in weights],
        )
        return lambda *tensors: list(_Replay.apply(pair, *tensors, *weights))

    def _capturing(self, graph: Any) -> Any:
        """A context whose kernels go into the graph; other threads (NCCL's, one that reads ahead) may do as they like."""
        return torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """The device, with nothing in flight and nothing kept for matrix products on any stream, before and after.

        cuBLAS keeps up to 32 MiB for each stream and thread that ever asked. What a capture asks for comes from its
        pool and goes back there: the next capture may lay its activations over it, for they are never in use together.
        """
        with torch.cuda.device(self.device):
            torch.cuda.synchronize()
            _free_workspaces()
            try:
                yield
            finally:
                _free_workspaces()


@dataclass(frozen=True)
class _Pair:
    """A captured forward and backward, and the fixed places that they read and write.

    answers, given: of each answer, and its gradient (None: it has none).
    of_places, of_weights: gradients that the backward leaves, None where there is none.
    """

    forward: Any
    backward: Any
    places: list[Tensor]
    answers: list[Tensor]
    given: list[Tensor | None]
    of_places: list[Tensor | None]
    of_weights: list[Tensor | None]


class _Replay(torch.autograd.Function):
    """A replayed pair as one step of autograd; what it gives is in memory of its own."""

    @staticmethod
    def forward(ctx: Any, pair: _Pair, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.pair = pair
        ctx.set_materialize_grads(False)
        for place, tensor in zip(pair.places, tensors, strict=False):  # the weights come after them
            place.copy_(tensor)
        pair.forward.replay()
        answers = tuple(answer.clone() for answer in pair.answers)
        learned = zip(answers, pair.given, strict=True)
        ctx.mark_non_differentiable(*(answer for answer, given in learned if given is None))
        return answers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        pair = ctx.pair
        for place, gradient in zip(pair.given, gradients, strict=True):
            if place is not None and gradient is None:
                place.zero_()
            elif place is not None:
                place.copy_(gradient)
        pair.backward.replay()
        return (None, *_copies(pair.of_places), *_copies(pair.of_weights))


def _copies(tensors: list[Tensor | None]) -> list[Tensor | None]:
    """Each tensor again, in few kernels."""
    there = _there(tensors)
    made = [torch.empty_like(tensor) for tensor in there]
    if made:
        torch._foreach_copy_(made, there)
    fresh = iter(made)
    return [None if tensor is None else next(fresh) for tensor in tensors]


def _there(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


def _gradients(answers: list[Tensor], sources: list[Tensor], given: list[Tensor]) -> Sequence[Tensor | None]:
    return torch.autograd.grad(answers, sources, given, allow_unused=True)


def _node_of(weight: nn.Parameter) -> Any:
    """The node that adds up the gradient of a weight."""
    with torch.enable_grad():
        seen = weight.view_as(weight).grad_fn
    assert seen is not None
    return seen.next_functions[0][0]


def _free_workspaces() -> None:
    """What cuBLAS has for its intermediate sums goes back to the allocator, and is asked for anew when it is needed."""
    torch._C._cuda_clearCublasWorkspaces()


def _expect_two_streams() -> None:
    """Captures run on a stream of their own, and autograd goes on to add up gradients there, after a wait of its own.

    Newer torch tells every user so, at length; it is meant.
    """
    graph = torch.autograd.graph
    if hasattr(graph, "set_warn_on_accumulate_grad_stream_mismatch"):
        graph.set_warn_on_accumulate_grad_stream_mismatch(False)
