"""The bytes autograd holds, against what can be counted by hand."""

import pytest
import torch
from torch import nn

from motionrft.training.memory import GraphBytes, MemoryMeter


def test_products_hold_both_factors_and_let_them_go() -> None:
    x, y = torch.randn(100, requires_grad=True), torch.randn(100)
    with GraphBytes() as graph:
        z = x * y  # saves y alone: only x needs a gradient
        assert graph.held == 400
        loss = z.square().sum()  # saves z
        assert graph.held == 800
        loss.backward()
        assert graph.held == 0
    assert graph.peak == 800
    assert torch.allclose(x.grad, 2 * x.detach() * y.square())


def test_what_no_backward_comes_to_is_let_go_too() -> None:
    x, meter = torch.ones(64, 64, requires_grad=True), GraphBytes()
    with meter:
        aside = x.exp().tanh()  # both save their own result
        (2 * x).square().sum().backward()
    assert meter.held > 0
    del aside
    assert meter.held == 0


def test_a_gradient_of_a_gradient_passes_through() -> None:
    def slope() -> torch.Tensor:
        x = torch.linspace(-1, 1, 8, requires_grad=True)
        (first,) = torch.autograd.grad(x.exp().tanh().sum(), x, create_graph=True)
        first.square().sum().backward()
        assert x.grad is not None
        return x.grad

    with GraphBytes():
        metered = slope()
    assert torch.equal(metered, slope())


def test_one_storage_counts_once_and_parameters_not_at_all() -> None:
    layer = nn.Linear(10, 10)
    x = torch.randn(5, 10)
    with GraphBytes([layer]) as graph:
        out = layer(x) + layer(x.view(5, 10))
        assert graph.held == x.nbytes
        frozen = nn.Linear(10, 10).requires_grad_(False)
        with_frozen = frozen(out)
    assert graph.peak == x.nbytes + frozen.weight.nbytes  # not named as frozen, so it counts
    del out, with_frozen
    assert graph.held == 0


def test_no_grad_holds_nothing() -> None:
    with GraphBytes() as graph, torch.no_grad():
        nn.Linear(10, 10)(torch.randn(5, 10)).exp()
    assert graph.peak == 0


def test_steps_in_turn_hold_one_graph_and_a_chain_holds_all() -> None:
    """Flat for a method that updates each step, linear for one that keeps the trajectory: exact."""

    def peak(steps: int, cut: bool) -> int:
        layer = nn.Linear(8, 8)
        with GraphBytes([layer]) as graph:
            x = torch.randn(4, 8)
            for _ in range(steps):
                x = torch.tanh(layer(x.detach() if cut else x))
                if cut:
                    x.sum().backward()
            if not cut:
                x.sum().backward()
        return graph.peak

    assert peak(5, cut=True) == peak(50, cut=True)
    assert peak(50, cut=False) - peak(40, cut=False) == peak(20, cut=False) - peak(10, cut=False) > 0


def test_a_meter_keeps_its_peak_until_reset() -> None:
    graph = GraphBytes()
    for size in (10, 1000, 10):
        with graph:
            torch.randn(size, requires_grad=True).exp().sum().backward()
    assert graph.peak == 4000
    graph.reset()
    assert graph.peak == 0


def test_memory_meter_reads_plausible_numbers() -> None:
    numbers = MemoryMeter().read()
    assert 2**24 < numbers["rss_bytes"] < 2**40 and numbers["peak_bytes"] > 2**24


def test_on_cuda_the_peaks_are_those_of_the_device_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two devices the second is used, and nobody made it the current one."""
    for name in ("is_available", "is_initialized"):
        monkeypatch.setattr(torch.cuda, name, lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: (0, 700)[device])
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: (0, 900)[device])
    numbers = MemoryMeter().read()
    assert (numbers["peak_bytes"], numbers["reserved_bytes"]) == (700, 900)
