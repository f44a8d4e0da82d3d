"""Low-rank adapters on attention and on the layers between, for every family: exact at the start, folded in, put away."""

import pytest
import torch
from peft import PeftModel
from torch.testing import assert_close

from motionrft.finetuning.adapters import merged, prepare_training, save_adapters
from motionrft.finetuning.frozen import FrozenTwin
from motionrft.finetuning.packed_adapter import PackedAdapter
from motionrft.finetuning.preset import LoraPart
from motionrft.transformer import Attention
from tests.generators.families import TINY, tiny

LORA = LoraPart(enabled=True, rank=4, alpha=16)


def predicted(generator):
    lengths = torch.tensor([24, 20])
    torch.manual_seed(0)
    x = torch.randn(generator.noise_shape(lengths))
    condition = generator.encode_text(["walks on", "sits down slowly"])
    t = generator.process(4).timesteps[1]
    return generator.predict(x, t, condition, lengths, 1.0)


def adapted(family):
    generator = tiny(family)
    before = predicted(generator).detach()
    weights = {name: value.clone() for name, value in generator.denoiser.state_dict().items()}
    parameters = dict(prepare_training(generator, LORA))
    return generator, before, weights, parameters


def moved(generator, parameters):
    """Gradients of some loss, and the adapters away from their start."""
    predicted(generator).square().mean().backward()
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(0.05)


@pytest.mark.parametrize("family", sorted(TINY))
def test_adapters_change_nothing_at_first_and_leave_the_weights_bit_equal(family):
    generator, before, weights, parameters = adapted(family)
    assert torch.equal(predicted(generator), before)
    moved(generator, parameters)
    assert not torch.equal(predicted(generator), before)
    with FrozenTwin(generator)():
        assert torch.equal(predicted(generator), before)
    bare = {
        name.replace("base_layer.", ""): value
        for name, value in generator.denoiser.base_model.model.state_dict().items()
    }
    assert all(torch.equal(bare[name], value) for name, value in weights.items())


@pytest.mark.parametrize("family", sorted(TINY))
def test_adapters_fold_into_the_weights(family):
    generator, _, _, parameters = adapted(family)
    moved(generator, parameters)
    folded = merged(generator)
    assert not any("lora" in name for name, _ in folded.denoiser.named_parameters())
    assert_close(predicted(folded), predicted(generator), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", sorted(TINY))
def test_every_attention_is_adapted_queries_keys_and_values_included(family):
    generator, _, _, parameters = adapted(family)
    predicted(generator).square().mean().backward()
    names = " ".join(parameters)
    packed = [m for m in generator.denoiser.modules() if isinstance(m, Attention)]
    wrapped = [m for m in generator.denoiser.modules() if isinstance(m, PackedAdapter)]
    assert len(wrapped) == len(packed)
    assert packed or any(word in names for word in ("query", "qkv"))
    assert any(word in names for word in ("linear1", "fc1", "w12", "block")), "and the layers between"
    assert all(
        p.grad is not None for name, p in parameters.items() if "lora_B" in name and "text" not in name
    )


def test_adapters_are_a_peft_folder(tmp_path):
    generator, _, _, parameters = adapted("mld")
    moved(generator, parameters)
    save_adapters(generator, tmp_path / "adapters")
    again = tiny("mld")
    loaded = PeftModel.from_pretrained(again.denoiser, str(tmp_path / "adapters"))
    found = {name for name, _ in loaded.named_parameters() if "in_proj" in name or "lora" in name}
    assert any("self_attn.lora_A" in name for name in found)
