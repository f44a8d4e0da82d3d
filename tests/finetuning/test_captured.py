"""Captured calls do what plain ones do, whatever is added up, and keep nothing of cuBLAS's; on recorded graphs."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from motionrft.diffusion.rollout import Compiled
from motionrft.finetuning.captured import PADDING, captured
from motionrft.finetuning.cuda_graphs import CudaGraphs
from motionrft.finetuning.trainer import FinetuneTrainer
from tests.finetuning.recorded_graphs import record_graphs
from tests.finetuning.small import small_preset, small_trainer

CPU = torch.device("cpu")
ITEMS = torch.arange(4)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_graphs(monkeypatch)


def pair_of(**settings: object) -> tuple[FinetuneTrainer, FinetuneTrainer, Compiled]:
    """A plain trainer, and one whose calls are captured."""
    method = {"method": "easytune", "k": 2}
    plain, other = (
        small_trainer(small_preset(steps=4, guidance=2.0, method=method, **settings)) for _ in range(2)
    )
    calls = captured(other.context.generator, other.context.reward)
    other.context = replace(other.context, compiled=calls)
    for trainer in (plain, other):
        trainer.prepared.padding = PADDING
    return plain, other, calls


@pytest.mark.parametrize("micro_batch", [4, 2, 1])
def test_gradients_of_equal_shapes_add_up(events: list[str], micro_batch: int) -> None:
    plain, other, calls = pair_of(micro_batch=micro_batch)
    for trajectory in range(2):
        lines, seen = (trainer.walk(ITEMS, trajectory, 0) for trainer in (plain, other))
        for key in ("loss", "grad_norm"):
            assert_close([line[key] for line in seen], [line[key] for line in lines], rtol=1e-4, atol=1e-6)
    assert all(call.known for call in (calls.predict, calls.judged))  # type: ignore[attr-defined]


def test_every_set_of_shapes_leaves_gradients_in_one_place(events: list[str]) -> None:
    torch.manual_seed(0)
    network, graphs = nn.Linear(3, 2), CudaGraphs(CPU)
    weights = list(network.parameters())
    calls = [graphs.with_backward(lambda x: [network(x)], [torch.randn(rows, 3)], weights) for rows in (4, 7)]
    assert [place.shape for place in graphs.gradients.values()] == [weight.shape for weight in weights]
    inputs = torch.randn(4, 3), torch.randn(7, 3), torch.randn(4, 3)
    for given, call in zip(inputs, (*calls, calls[0]), strict=True):
        call(given)[0].square().sum().backward()
    found = [weight.grad for weight in weights]
    expected = torch.autograd.grad(sum(network(given).square().sum() for given in inputs), weights)
    assert_close(found, list(expected))


def test_answers_without_gradient_have_none_and_inputs_get_theirs(events: list[str]) -> None:
    given = torch.randn(5, requires_grad=True)
    call = CudaGraphs(CPU).with_backward(lambda x: [x.sin(), x.detach() + 1, x.cos()], [given], [])
    sines, moved, _ = call(given)
    assert not moved.requires_grad and torch.equal(moved, given.detach() + 1)
    sines.sum().backward()  # nobody asked for the cosines' gradient
    assert_close(given.grad, given.detach().cos())


def test_what_learns_nothing_is_captured_without_backward(events: list[str]) -> None:
    given = torch.ones(2, requires_grad=True)
    call = CudaGraphs(CPU).with_backward(lambda x: [x.detach() * 2], [given], [])
    assert torch.equal(call(given)[0], torch.full((2,), 2.0)) and events.count("capture") == 1


def test_workspaces_are_freed_before_and_after_each_capture(events: list[str]) -> None:
    network = nn.Linear(3, 2)
    graphs = CudaGraphs(CPU)
    graphs.forward(lambda x: [network(x)], [torch.ones(1, 3)])
    assert events == ["wait", "free", "free", "capture", "free"]
    events.clear()
    graphs.with_backward(lambda x: [network(x)], [torch.ones(1, 3)], list(network.parameters()))
    assert events == ["wait", "free", "free", "capture", "capture", "free"]


def test_workspaces_are_freed_after_a_capture_that_failed(events: list[str]) -> None:
    def asks(x: torch.Tensor) -> list[torch.Tensor]:
        return [x * float(x[0])]

    with pytest.raises(RuntimeError, match="asked for a number"):
        CudaGraphs(CPU).forward(asks, [torch.ones(2)])
    assert events[-2:] == ["capture", "free"]
