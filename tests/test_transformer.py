"""The shared transformer against torch's own layers, and its shortcuts against the long way."""

from typing import Any

import pytest
import torch
from torch import nn

from motionrft.transformer import (
    Attention,
    DecoderLayer,
    EncoderLayer,
    LearnedPositions,
    SkipDecoder,
    SkipEncoder,
    timestep_features,
)

LENGTHS = torch.tensor([7, 3, 1])
VISIBLE = torch.arange(7)[None] < LENGTHS[:, None]


def test_encoder_layer_equals_torchs() -> None:
    theirs = nn.TransformerEncoderLayer(32, 4, 48, activation="gelu", batch_first=True).eval()
    ours = EncoderLayer(32, 4, 48).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 7, 32)
    expected = theirs(x, src_key_padding_mask=~VISIBLE)
    torch.testing.assert_close(ours(x, VISIBLE)[VISIBLE], expected[VISIBLE], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("memory_tokens", [1, 4])
def test_decoder_layer_equals_torchs(memory_tokens: int) -> None:
    theirs = nn.TransformerDecoderLayer(32, 4, 48, activation="gelu", batch_first=True).eval()
    ours = DecoderLayer(32, 4, 48).eval()
    ours.load_state_dict(theirs.state_dict())
    x, memory = torch.randn(3, 7, 32), torch.randn(3, memory_tokens, 32)
    expected = theirs(x, memory, tgt_key_padding_mask=~VISIBLE)
    torch.testing.assert_close(ours(x, memory, VISIBLE)[VISIBLE], expected[VISIBLE], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_first_rows_alone_equal_first_rows_of_all(layers: int) -> None:
    stack = SkipEncoder(16, layers, 2, 24).eval()
    x = torch.randn(3, 7, 16, requires_grad=True)
    rows, all_rows = stack(x, VISIBLE, rows=2), stack(x, VISIBLE)[:, :2]
    torch.testing.assert_close(rows, all_rows, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (rows, all_rows)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_skips_meet_last_pushed_first() -> None:
    stack = SkipEncoder(8, 5, 2, 8).eval()
    x = torch.randn(1, 4, 8)
    a = stack.input_blocks[0](x)
    b = stack.input_blocks[1](a)
    y = stack.middle_block(b)
    y = stack.output_blocks[0](stack.linear_blocks[0](torch.cat((y, b), -1)))
    y = stack.output_blocks[1](stack.linear_blocks[1](torch.cat((y, a), -1)))
    torch.testing.assert_close(stack(x), stack.norm(y))


def test_padding_never_reaches_valid_positions() -> None:
    stack = SkipDecoder(16, 3, 2, 24).eval()
    x, memory = torch.randn(3, 7, 16), torch.randn(3, 1, 16)
    garbage = torch.where(VISIBLE[..., None], x, 1e3)
    torch.testing.assert_close(stack(garbage, memory, VISIBLE)[VISIBLE], stack(x, memory, VISIBLE)[VISIBLE])


def test_even_stacks_and_uneven_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="odd number"):
        SkipEncoder(8, 4, 2, 8)
    with pytest.raises(ValueError, match="3 attention heads"):
        Attention(8, 3)


def test_positions_beyond_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="6 positions"):
        LearnedPositions(8, rows=5)(torch.zeros(1, 6, 8))


def test_timestep_features_are_cosines_then_sines() -> None:
    features = timestep_features(torch.tensor([0, 7]), 8)
    torch.testing.assert_close(features[0], torch.tensor([1.0] * 4 + [0.0] * 4))
    frequencies = 10000.0 ** (-torch.arange(4) / 4)
    torch.testing.assert_close(features[1], torch.cat(((7 * frequencies).cos(), (7 * frequencies).sin())))


def test_attention_behind_an_adapter_that_hides_its_weights_is_called() -> None:
    layer = EncoderLayer(8, 2, 16, 0.0).eval()
    x = torch.randn(2, 5, 8)
    expected = layer(x)

    class Adapter(torch.nn.Module):
        def __init__(self, attention: torch.nn.Module) -> None:
            super().__init__()
            self.inner = attention

        def forward(self, *given: Any, **named: Any) -> torch.Tensor:
            return self.inner(*given, **named)

    layer.self_attn = Adapter(layer.self_attn)  # type: ignore[assignment]
    assert torch.allclose(layer(x), expected, atol=1e-6)
