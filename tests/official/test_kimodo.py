"""Kimodo's published folder: recognised, read strictly, tuned, written back; its configuration stays as it was."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from motionrft.checking.recognise import what_is
from motionrft.errors import UserError
from motionrft.finetuning.adapters import merged, prepare_training
from motionrft.finetuning.preset import LoraPart
from motionrft.generators import read_generator
from motionrft.generators.folder import build_generator
from motionrft.generators.kimodo import Kimodo
from motionrft.generators.sampling import sample
from motionrft.loading import load_generator
from motionrft.official.checkpoints import convert_any
from motionrft.official.generators import export_official, save_official
from tests.generators.families import KIMODO, WordEncoder, tiny

CONFIG = """
model:
  _target_: kimodo.model.kimodo_model.Kimodo
  num_base_steps: 1000
  denoiser:
    _target_: kimodo.model.cfg.ClassifierFreeGuidedModel
    cfg_type: separated
    backbone:
      _target_: kimodo.model.twostage_denoiser.TwostageDenoiser
      motion_mask_mode: concat
      num_heads: 4
      latent_dim: 16
      ff_size: 32
      num_layers: 2
      num_text_tokens_override: 12
      use_text_mask: false
      norm_first: false
      activation: gelu
      input_first_heading_angle: true
      fps: ${model.fps_of_somebody}
"""
PREFIX = "denoiser.backbone."


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny folder as NVIDIA publishes it."""
    folder = tmp_path_factory.mktemp("hub") / "Kimodo-SOMA-RP-v1.1"
    save_official(tiny("kimodo"), folder / "model.safetensors")
    (folder / "config.yaml").write_text(CONFIG.replace("${model.fps_of_somebody}", "30"))
    return folder


def copied(folder: Path, to: Path) -> Path:
    """A copy that a test may spoil."""
    for file in folder.rglob("*"):
        if file.is_file():
            place = to / file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return to


def sampled(generator) -> torch.Tensor:
    generator.use_text_encoder(WordEncoder())
    condition = generator.encode_text(["a person walks"])
    return sample(generator, condition, torch.tensor([24]), [5], generator.sampling(steps=3)).motion


def test_a_folder_is_read_as_it_was_written(published: Path) -> None:
    generator = load_generator(published)
    assert isinstance(generator, Kimodo) and generator.text_encoder_name == "llm2vec-fp32"
    assert "Open Model" in generator.licence
    torch.testing.assert_close(sampled(generator), sampled(tiny("kimodo")))


def test_tensors_may_lie_bare_or_wrapped(published: Path, tmp_path: Path) -> None:
    bare = copied(published, tmp_path / "bare")
    tensors = load_file(bare / "model.safetensors")
    assert all(name.startswith(PREFIX) for name in tensors)
    bare_names = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
    save_file(bare_names, bare / "model.safetensors")
    wrapped = copied(published, tmp_path / "wrapped")
    (wrapped / "model.safetensors").unlink()
    torch.save({"state_dict": tensors, "epoch": 3}, wrapped / "last.ckpt")
    for folder in (bare, wrapped):
        torch.testing.assert_close(sampled(load_generator(folder)), sampled(tiny("kimodo")))


def test_tuned_with_adapters_and_written_back_it_is_the_merged_weights(
    published: Path, tmp_path: Path
) -> None:
    convert_any(published, tmp_path / "ours")
    generator = read_generator(tmp_path / "ours")
    assert "Open Model" in (tmp_path / "ours" / "README.md").read_text()
    names = [name for name, _ in prepare_training(generator, LoraPart(enabled=True, rank=2, alpha=4))]
    for layer in ("linear1", "linear2", "out_proj", "in_proj_weight"):
        assert any(layer in name or layer == "in_proj_weight" for name in names)
    assert {name.split(".")[2] for name in names} >= {"root_model", "body_model"}
    with torch.no_grad():
        for name, parameter in generator.denoiser.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    adapted = sampled(generator)
    tuned = merged(generator)
    save_official(tuned, tmp_path / "back" / "model.safetensors")
    back = load_file(tmp_path / "back" / "model.safetensors")
    before = load_file(published / "model.safetensors")
    assert back.keys() == before.keys()
    changed = [name for name in back if not torch.equal(back[name], before[name])]
    assert len(changed) == 2 * 2 * 4  # stages, layers, adapted weights of each
    expected = {f"{PREFIX}{name}": value for name, value in tuned.denoiser.state_dict().items()}
    assert all(torch.equal(back[name], expected[name]) for name in back)
    assert (tmp_path / "back" / "config.yaml").read_text() == (published / "config.yaml").read_text()
    for file in (published / "stats").rglob("*.npy"):
        again = np.load(tmp_path / "back" / file.relative_to(published))
        assert np.array_equal(again, np.load(file))
    assert not torch.allclose(adapted, sampled(tiny("kimodo")), atol=1e-3)
    torch.testing.assert_close(sampled(load_generator(tmp_path / "back")), adapted, rtol=1e-3, atol=1e-3)


def test_our_folder_becomes_a_published_one_whose_configuration_is_the_same_bytes(
    published: Path, tmp_path: Path
) -> None:
    folder = copied(published, tmp_path / "odd")
    odd = (
        (published / "config.yaml")
        .read_text()
        .replace("num_heads: 4", "num_heads: &heads 4\n      also: *heads")
    )
    odd = "\ufeff# who wrote this\n" + odd + "unknown: [1, {a: ~}]\n"
    (folder / "config.yaml").write_bytes(odd.replace("\n", "\r\n").encode())
    convert_any(folder, tmp_path / "ours")
    export_official(tmp_path / "ours", tmp_path / "back")
    assert (tmp_path / "back" / "config.yaml").read_bytes() == (folder / "config.yaml").read_bytes()


def spoil_config(old: str, new: str):
    def spoil(folder: Path) -> None:
        text = (folder / "config.yaml").read_text()
        assert old in text
        (folder / "config.yaml").write_text(text.replace(old, new))

    return spoil


def drop_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[f"{PREFIX}body_model.output_linear.bias"]
    save_file(tensors, folder / "model.safetensors")


def add_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"text_encoder.weight": torch.zeros(2)}, folder / "model.safetensors")


def narrow_statistics(folder: Path) -> None:
    np.save(folder / "stats" / "motion" / "body" / "std.npy", np.ones(7, np.float32))
    np.save(folder / "stats" / "motion" / "body" / "mean.npy", np.ones(7, np.float32))


SPOILT = {
    "no heads": (spoil_config("num_heads: 4", "nothing: 4"), "num_heads is missing"),
    "heads are no number": (spoil_config("num_heads: 4", "num_heads: ${x}"), "a whole number above 0"),
    "heads below none": (spoil_config("num_heads: 4", "num_heads: -4"), "num_heads is -4; a whole number"),
    "half a head": (spoil_config("num_heads: 4", "num_heads: 4.5"), "num_heads is 4.5; a whole number"),
    "no room for a text": (spoil_config("override: 12", "override: 0"), "num_text_tokens_override is 0"),
    "guidance of another kind": (
        spoil_config("cfg_type: separated", "cfg_type: ${x}"),
        "cfg_type is .*separated",
    ),
    "a weight outside": (add_weight, "text_encoder.weight lies outside denoiser.backbone"),
    "another activation": (spoil_config("activation: gelu", "activation: relu"), "activation is 'relu'"),
    "another size": (spoil_config("latent_dim: 16", "latent_dim: 32"), "latent_dim is 32"),
    "a python tag": (spoil_config("model:", "model: !!python/object:os.system"), "config.yaml"),
    "no configuration": (lambda folder: (folder / "config.yaml").unlink(), "no config.yaml"),
    "no statistics": (
        lambda folder: (folder / "stats" / "motion" / "local_root" / "std.npy").unlink(),
        "local_root/std.npy: missing",
    ),
    "narrow statistics": (narrow_statistics, "7 values"),
    "a missing weight": (drop_weight, "output_linear.bias is missing"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_folder_that_is_not_whole_is_refused(published: Path, fault: str, tmp_path: Path) -> None:
    folder = copied(published, tmp_path / "spoilt")
    spoil, said = SPOILT[fault]
    spoil(folder)
    with pytest.raises(UserError, match=said):
        load_generator(folder)


def test_smplx_brings_its_rest_joints_from_the_persons_own_kimodo(tmp_path: Path) -> None:
    generator = build_generator({"family": "kimodo", "denoiser": KIMODO | {"joints": 22}})
    rest = torch.randn(22, 3)
    generator.rest_joints.copy_(rest)
    folder = tmp_path / "Kimodo-SMPLX-RP-v1"
    save_official(generator, folder / "model.safetensors")
    again = load_generator(folder)
    assert torch.equal(again.rest_joints, rest) and again.text_encoder_name == "llm2vec"
    assert "may not be passed on" in again.licence
    assert isinstance(again, Kimodo) and "solved" not in again.warning


def test_smplx_without_them_solves_them_and_says_so(tmp_path: Path) -> None:
    generator = build_generator({"family": "kimodo", "denoiser": KIMODO | {"joints": 22}})
    folder = tmp_path / "Kimodo-SMPLX-RP-v1"
    save_official(generator, folder / "model.safetensors")
    (folder / "joints.p").unlink()
    found = load_generator(folder)
    assert isinstance(found, Kimodo) and found.rest_joints[1:].any(1).all()
    assert "solved from a motion of its own" in found.warning and "joints.p" in found.warning
    convert_any(folder, tmp_path / "ours")
    assert torch.equal(read_generator(tmp_path / "ours").rest_joints, found.rest_joints)


def test_check_says_what_a_published_folder_is(published: Path) -> None:
    (found,) = what_is(published, {})
    assert found.problem is None or not found.problem
    assert found.kind == "generator" and found.facts["family"] == "kimodo"
    assert found.facts["text_encoder"] == "llm2vec-fp32" and "NVIDIA" in found.facts["licence"]
