"""The halves of a frozen layer as one node each: the same numbers, less kept, and only where nothing is trained."""

import pytest
import torch
from torch import Tensor, nn

from motionrft import fused
from motionrft.training.memory import GraphBytes
from motionrft.transformer import SkipDecoder, SkipEncoder

WIDTH, FRAMES, HEADS = 32, 11, 4
LENGTHS = torch.tensor([FRAMES, 7, 4])


def network(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    net = kind(WIDTH, 5, HEADS, 64).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def answer(net: nn.Module, mask: Tensor | None, memory_tokens: int = 1) -> list[Tensor]:
    """What a network gives, and the gradients to all that it is given; hidden positions count for nothing."""
    torch.manual_seed(1)
    x = torch.randn(3, FRAMES, WIDTH, requires_grad=True)  # (B, T, D)
    memory = torch.randn(3, memory_tokens, WIDTH, requires_grad=True)  # (B, M, D)
    given = (x, memory) if isinstance(net, SkipDecoder) else (x,)
    y = net(*given, mask)
    seen = y if mask is None else y.masked_fill(~mask[..., None], 0)
    return [seen.detach(), *torch.autograd.grad((seen * torch.randn_like(seen)).sum(), given)]


@pytest.mark.parametrize("kind", [SkipEncoder, SkipDecoder])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["all visible", "padded"])
def test_fused_halves_answer_as_the_plain_layer(kind, lengths, monkeypatch) -> None:
    net = network(kind)
    mask = None if lengths is None else torch.arange(FRAMES)[None] < lengths[:, None]
    found = answer(net, mask)
    with torch.no_grad():
        without_graph = net(*([torch.ones(3, FRAMES, WIDTH)] * (2 if kind is SkipDecoder else 1)), mask)
    monkeypatch.setattr(fused, "suits", lambda *_: False)
    for ours, plain in zip(found, answer(net, mask), strict=True):
        assert torch.allclose(ours, plain, rtol=0, atol=1e-5)
    plain = net(*([torch.ones(3, FRAMES, WIDTH)] * (2 if kind is SkipDecoder else 1)), mask)
    assert torch.allclose(without_graph, plain, rtol=0, atol=1e-5)


def test_a_decoder_with_many_memory_tokens_answers_as_the_plain_one(monkeypatch) -> None:
    net = network(SkipDecoder)
    found = answer(net, None, memory_tokens=3)
    monkeypatch.setattr(fused, "suits", lambda *_: False)
    for ours, plain in zip(found, answer(net, None, memory_tokens=3), strict=True):
        assert torch.allclose(ours, plain, rtol=0, atol=1e-5)


def test_one_start_for_all_items_decodes_as_a_start_each() -> None:
    net = network(SkipDecoder)
    x, memory = torch.randn(1, FRAMES, WIDTH), torch.randn(3, 1, WIDTH)
    assert torch.allclose(net(x, memory), net(x.expand(3, -1, -1), memory), rtol=0, atol=1e-5)


def test_less_is_kept_for_backward_than_by_the_plain_layer(monkeypatch) -> None:
    net = network(SkipEncoder)

    def kept() -> int:
        with GraphBytes([net]) as meter:
            net(torch.randn(3, FRAMES, WIDTH, requires_grad=True))
        return meter.peak

    ours = kept()
    monkeypatch.setattr(fused, "suits", lambda *_: False)
    assert ours <= 0.92 * kept()


@pytest.mark.parametrize("block", [1, 2 * HEADS * FRAMES**2, 2**30])
def test_attention_goes_back_as_autograd_does_however_many_items_at_a_time(block: int, monkeypatch) -> None:
    monkeypatch.setattr(fused, "_BLOCK", block)
    torch.manual_seed(0)
    qkv = torch.randn(3, FRAMES, 3 * WIDTH, requires_grad=True)
    mask = torch.arange(FRAMES)[None] < LENGTHS[:, None]  # (B, T)
    q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
    mixed = (
        nn.functional.scaled_dot_product_attention(q, k, v, mask[:, None, None]).transpose(1, 2).flatten(2)
    )
    gradient = torch.randn_like(mixed)
    mixed.backward(gradient)
    found = fused.attention_back(gradient, qkv.detach(), HEADS, mask)
    assert qkv.grad is not None and torch.allclose(found, qkv.grad, rtol=0, atol=1e-5)


def test_a_layer_with_anything_to_train_is_not_fused() -> None:
    layer = network(SkipEncoder).middle_block
    x = torch.randn(1, FRAMES, WIDTH, requires_grad=True)
    parts = (layer.linear1, layer.linear2, layer.norm2)
    assert fused.suits(x, *parts)
    layer.linear2.weight.requires_grad_(True)
    assert not fused.suits(x, *parts)
    with torch.no_grad():
        assert fused.suits(x, *parts)


def test_nothing_is_fused_while_dropout_acts_or_in_another_precision() -> None:
    layer = network(SkipEncoder).middle_block
    x = torch.randn(1, FRAMES, WIDTH)
    assert not fused.suits(x.bfloat16(), layer.linear1)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fused.suits(x, layer.linear1)
    assert not fused.suits(x, layer.train().linear1)


def test_a_mask_that_hides_nothing_is_not_needed() -> None:
    assert fused.needed(None) is None
    assert fused.needed(torch.ones(2, 3, dtype=torch.bool)) is None
    assert fused.needed(torch.tensor([[True, False]])) is not None


class Adapted(nn.Module):
    """Takes attention's place, as an adapter of its packed weight does, and has none of its parameters."""

    def forward(self, query: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return query.flip(1)


def test_an_adapter_in_the_place_of_attention_is_asked() -> None:
    layer = network(SkipEncoder).middle_block
    layer.self_attn = Adapted()
    x = torch.randn(2, FRAMES, WIDTH)
    assert torch.allclose(layer(x), layer._feed(layer.norm1(x + x.flip(1))), rtol=0, atol=1e-6)
