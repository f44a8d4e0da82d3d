"""Linear layers through oneDNN: what they compute is what PyTorch's compute, and they keep no more."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import motionrft.linear
from motionrft.linear import Linear, gelu_of, linear, quicken

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this PyTorch has no oneDNN linear operator"
)
SCHEMA = "(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, str? algorithm) -> Tensor Y"
ONEDNN_IS_FASTER = motionrft.linear.onednn_is_faster
SIZES = st.integers(1, 40)


@pytest.fixture(autouse=True)
def onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any processor."""
    monkeypatch.setattr(motionrft.linear, "onednn_is_faster", lambda: True)


def _values_and_gradients(function, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    leaves = [leaf for leaf in (x, weight, bias) if leaf is not None]
    y = function(x, weight, bias)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return [y.detach(), *torch.autograd.grad(y, leaves, direction)]


def _equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for mine, plain in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-4)


class TestLinear:
    @settings(max_examples=60, deadline=None)
    @given(lead=st.lists(st.integers(1, 5), max_size=3), inputs=SIZES, outputs=SIZES, biased=st.booleans())
    def test_gives_the_values_and_gradients_of_torch(self, lead, inputs, outputs, biased):
        torch.manual_seed(0)
        x = torch.randn(*lead, inputs, requires_grad=True)
        weight = torch.randn(outputs, inputs, requires_grad=True)
        bias = torch.randn(outputs, requires_grad=True) if biased else None
        ours, theirs = (_values_and_gradients(f, x, weight, bias) for f in (linear, F.linear))
        _equal(ours, theirs)

    @pytest.mark.parametrize(
        "view",
        [
            lambda x: x[:, :1],
            lambda x: x.transpose(0, 1),
            lambda x: x[..., 3:19],
            lambda x: x[:1].expand(6, -1, -1),
        ],
        ids=["first_row", "transposed", "some_columns", "expanded"],
    )
    def test_views_give_the_same_as_copies(self, view):
        torch.manual_seed(0)
        x = view(torch.randn(6, 8, 24)).requires_grad_(True)
        weight = torch.randn(10, 32)[:, 4 : 4 + x.shape[-1]].requires_grad_(True)
        ours, theirs = (_values_and_gradients(f, x, weight, None) for f in (linear, F.linear))
        _equal(ours, theirs)

    @pytest.mark.parametrize("frozen", [True, False])
    def test_keeps_the_input_only_for_a_trained_weight(self, frozen):
        x = torch.randn(4, 7, requires_grad=True)
        layer = Linear(7, 9).requires_grad_(not frozen)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
            layer(x)
        assert (x.data_ptr() in kept) is not frozen

    def test_an_empty_batch_stays_empty(self):
        assert Linear(5, 3)(torch.randn(0, 4, 5)).shape == (0, 4, 3)

    def test_autocast_computes_in_its_own_type(self):
        with torch.autocast("cpu", torch.bfloat16):
            assert Linear(8, 8)(torch.randn(2, 8)).dtype == torch.bfloat16

    def test_other_types_than_float32_pass(self):
        assert Linear(8, 8).double()(torch.randn(2, 8, dtype=torch.float64)).dtype == torch.float64


class TestGelu:
    @pytest.mark.parametrize("graph", [True, False])
    def test_is_gelu_of_the_layer(self, graph):
        torch.manual_seed(0)
        layer, x = Linear(16, 32), torch.randn(3, 5, 16)
        with torch.set_grad_enabled(graph):
            torch.testing.assert_close(gelu_of(layer, x), F.gelu(F.linear(x, layer.weight, layer.bias)))

    def test_a_layer_in_an_adapter_goes_through_the_adapter(self):
        adapted = nn.Sequential(Linear(4, 6), nn.Linear(6, 6))
        x = torch.randn(2, 4)
        with torch.no_grad():
            torch.testing.assert_close(gelu_of(adapted, x), F.gelu(adapted(x)))


class TestQuicken:
    def test_plain_layers_become_ours_and_give_the_same(self):
        torch.manual_seed(0)
        theirs = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Sequential(nn.Linear(12, 2)))
        x = torch.randn(4, 6)
        before = theirs(x)
        quicken(theirs)
        assert sum(isinstance(module, Linear) for module in theirs.modules()) == 2
        torch.testing.assert_close(theirs(x), before)

    def test_subclasses_are_left_alone(self):
        special = type("Special", (nn.Linear,), {})(3, 3)
        assert type(quicken(nn.Sequential(special))[0]) is type(special)


def test_the_private_operator_is_called_as_the_installed_torch_declares_it():
    declared = str(torch.ops.mkldnn._linear_pointwise.default._schema)
    assert declared.endswith(SCHEMA), declared


@pytest.mark.parametrize("missing", ["operator", "processor"])
def test_without_it_everything_is_torch_s_own(missing, monkeypatch):
    """Whatever is absent, a processor that gains or the operator, the plain road gives the plain numbers."""
    monkeypatch.setattr(motionrft.linear, "onednn_is_faster", ONEDNN_IS_FASTER)
    ONEDNN_IS_FASTER.cache_clear()
    if missing == "operator":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        monkeypatch.setattr(motionrft.linear, "_OPERATOR", "_no_such_operator")
    else:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    try:
        assert not motionrft.linear.onednn_is_faster()
        layer, x = Linear(24, 8), torch.randn(3, 5, 24)
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
        with torch.no_grad():
            assert torch.equal(gelu_of(layer, x), F.gelu(F.linear(x, layer.weight, layer.bias)))
    finally:
        ONEDNN_IS_FASTER.cache_clear()
