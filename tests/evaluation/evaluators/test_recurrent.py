"""The unpacked bidirectional GRU equals torch's own on packed sequences."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.testing import assert_close

from motionrft.evaluation.evaluators.recurrent import BidirectionalGRU


def test_equals_torch_on_packed_sequences_in_any_order():
    torch.manual_seed(0)
    ours, theirs = BidirectionalGRU(5, 7), nn.GRU(5, 7, batch_first=True, bidirectional=True)
    for name, parameter in theirs.named_parameters():
        half = ours.back if name.endswith("_reverse") else ours.ahead
        half.get_parameter(name.removesuffix("_reverse")).data.copy_(parameter)
    x, lengths = torch.randn(4, 9, 5), torch.tensor([3, 9, 1, 6])
    packed, final = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    states, last = ours(x, lengths)
    expected = pad_packed_sequence(packed, batch_first=True)[0]
    inside = torch.arange(9)[None] < lengths[:, None]
    assert_close(states[inside], expected[inside])
    assert_close(last, torch.cat(list(final), dim=1))
