"""What `compile` stands for: graphs only where all is ours and on a GPU, and padding that masks make invisible."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from motionrft.diffusion.rollout import Padding
from motionrft.errors import UserError
from motionrft.finetuning.compiled import quickened
from tests.finetuning.small import small_generator, small_preset, small_reward, small_trainer


def test_auto_compiles_nothing_on_a_processor_and_graphs_are_refused_there() -> None:
    generator, reward = small_generator(), small_reward()
    assert quickened("auto", generator, reward) is None and quickened(False, generator, reward) is None
    with pytest.raises(UserError, match="--device cuda"):
        quickened("graphs", generator, reward)


class Theirs(nn.Module):
    """Someone else's network, which may ask the device anything."""


def test_auto_leaves_foreign_parts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = []
    monkeypatch.setattr("motionrft.finetuning.compiled.captured", lambda *parts: captures.append(parts))
    monkeypatch.setattr(type(small_generator()), "device", torch.device("cuda"))
    generator, reward = small_generator(), small_reward()
    quickened("auto", generator, reward)
    reward.add_module("more", Theirs())
    quickened("auto", generator, reward)
    assert len(captures) == 1


def test_padding_to_few_shapes_changes_nothing_but_shapes() -> None:
    plain, padded = (small_trainer(small_preset(micro_batch=1)) for _ in range(2))
    padded.prepared.padding = Padding(frames=32, tokens=16)
    items = torch.arange(3)
    starts = [t.prepared.micro_batches(items, 0, None)[0].start for t in (plain, padded)]
    assert (starts[0].frames, starts[1].frames) == (40, 64)
    assert starts[1].condition.text.tokens.shape[1] == 16
    one, other = plain.walk(items, 0, 0), padded.walk(items, 0, 0)
    assert_close([line["loss"] for line in one], [line["loss"] for line in other], rtol=1e-4, atol=1e-5)
