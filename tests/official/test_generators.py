"""Official checkpoints of every family: written, recognised, read back, refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from motionrft.errors import UserError
from motionrft.generators import Generator, build_generator
from motionrft.generators import read_generator as load_folder
from motionrft.generators.sampling import sample
from motionrft.loading import load_generator
from motionrft.official.generators import (
    READERS,
    convert_checkpoint,
    read_official,
    recognise,
    save_official,
)
from motionrft.official.pickles import read_checkpoint, write_checkpoint
from motionrft_cli import main
from tests.generators.families import TINY, encoder_for, tiny

OFFICIAL = [
    name
    for name, config in TINY.items()
    if config["family"] in READERS
    and name != "built-in"
    and config["family"] != "kimodo"  # a folder: test_kimodo
]


def written(name: str, folder: Path) -> Path:
    path = folder / "model.ckpt"
    save_official(tiny(name), path)
    return path


def sampled(generator: Generator, name: str) -> torch.Tensor:
    generator.use_text_encoder(encoder_for(name))
    condition = generator.encode_text(["a person walks"])
    return sample(generator, condition, torch.tensor([24]), [5], generator.sampling(steps=4)).motion


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_layout_and_back(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    assert recognise(read_checkpoint(path)) == TINY[name]["family"]
    torch.testing.assert_close(sampled(load_generator(path), name), sampled(tiny(name), name))


@pytest.mark.parametrize("name", OFFICIAL)
def test_convert_writes_a_folder_of_ours(name: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    convert_checkpoint(written(name, tmp_path / "theirs"), tmp_path / "ours")
    torch.testing.assert_close(sampled(load_folder(tmp_path / "ours"), name), sampled(tiny(name), name))
    assert "licence" in (tmp_path / "ours" / "README.md").read_text()


@pytest.mark.parametrize("name", OFFICIAL)
def test_missing_statistics_are_an_error_that_says_where(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    content = read_checkpoint(path)
    for container in (v for v in content.values() if isinstance(v, dict)):
        container.pop("std", None)  # HY-Motion carries its own inside
    write_checkpoint(path, content)
    (tmp_path / "Std.npy").unlink()
    with pytest.raises(UserError, match=r"statistics .* missing"):
        load_generator(path)


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_missing_weight_loads_nothing(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    content = read_checkpoint(path)
    container = next((v for v in content.values() if isinstance(v, dict)), content)
    weight = next(key for key in container if key.endswith(".bias"))
    del container[weight]
    write_checkpoint(path, content)
    with pytest.raises(UserError, match=weight.split(".")[-2]):
        load_generator(path)


@pytest.mark.parametrize("name", OFFICIAL)
def test_names_that_a_parallel_wrapper_saved_are_read(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    content = torch.load(path, weights_only=True)
    states = {id(each): each for each in (content, *content.values()) if isinstance(each, dict)}
    for state in states.values():
        for key in [key for key, value in state.items() if isinstance(value, torch.Tensor)]:
            state[f"module.{key}"] = state.pop(key)
    write_checkpoint(path, content)
    torch.testing.assert_close(sampled(load_generator(path), name), sampled(tiny(name), name))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = written("mdm", tmp_path)
    content = torch.load(path, weights_only=True)
    weight = next(value for value in content.values() if value.dim() == 2)
    weight[0, 0] = torch.nan
    write_checkpoint(path, content)
    with pytest.raises(UserError, match="holds NaN: it was saved from a broken run"):
        load_generator(path)


def test_the_command_line_converts_there_and_back(tmp_path: Path) -> None:
    path = written("mld", tmp_path)
    assert main.run(["convert", str(path), "--to", "motionrft", "--out", str(tmp_path / "ours")]) == 0
    assert (
        main.run(["convert", str(tmp_path / "ours"), "--to", "official", "--out", str(tmp_path / "back")])
        == 0
    )
    again = load_generator(tmp_path / "back" / "mld_humanml.ckpt")
    torch.testing.assert_close(sampled(again, "mld"), sampled(tiny("mld"), "mld"))


def test_a_layout_that_nobody_else_has_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no official format"):
        save_official(tiny("built-in"), tmp_path / "model.ckpt")
    assert not list(tmp_path.iterdir())


def test_statistics_of_another_width(tmp_path: Path) -> None:
    path = written("mld", tmp_path)
    np.save(tmp_path / "Mean.npy", np.zeros(251, np.float32))
    np.save(tmp_path / "Std.npy", np.ones(251, np.float32))
    with pytest.raises(UserError, match="251"):
        load_generator(path)


def test_the_wrong_family_is_said_with_what_it_looks_like(tmp_path: Path) -> None:
    path = written("mdm", tmp_path)
    with pytest.raises(UserError, match="looks like mdm"):
        read_official(path, family="mld")


def test_an_unknown_checkpoint_shows_its_keys(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "x.pt", {"weights": {"a": torch.zeros(1)}})
    with pytest.raises(UserError, match="weights"):
        load_generator(tmp_path / "x.pt")


def test_settings_say_what_the_file_does_not(tmp_path: Path) -> None:
    generator = load_generator(written("mld", tmp_path), text="clip-l14")
    assert generator.text_encoder_name == "clip-l14"
    with pytest.raises(UserError, match="colour"):
        load_generator(tmp_path / "model.ckpt", colour="blue")


def test_an_original_mld_file_reads_clip_and_its_extras_are_dropped(tmp_path: Path) -> None:
    path = written("mld", tmp_path)
    content = read_checkpoint(path)
    extras = {"denoiser.mem_pos.pe": torch.zeros(500, 1, 16), "t2m_textencoder.x": torch.zeros(1)}
    write_checkpoint(path, {"state_dict": content["state_dict"] | extras, "epoch": 3})
    assert load_generator(path).text_encoder_name == "clip-l14"


def test_mdm_options_are_read_from_the_file_beside_it(tmp_path: Path) -> None:
    path = written("mdm-masked", tmp_path)
    options = json.loads((tmp_path / "args.json").read_text())
    assert options["mask_frames"] and options["diffusion_steps"] == 10
    (tmp_path / "args.json").write_text(json.dumps(options | {"noise_schedule": "linear"}))
    with pytest.raises(UserError, match="linear"):
        load_generator(path)


def test_a_kit_checkpoint_has_kits_frame_rate(tmp_path: Path) -> None:
    config = TINY["mdm"] | {"denoiser": TINY["mdm"]["denoiser"] | {"features": 251}}
    save_official(build_generator(config), tmp_path / "model.pt")
    assert load_generator(tmp_path / "model.pt").fps == 12.5
    assert load_generator(tmp_path / "model.pt", fps=20.0).fps == 20


def test_a_folder_with_one_checkpoint_is_enough(tmp_path: Path) -> None:
    written("mld", tmp_path)
    assert load_generator(tmp_path).family == "mld"
    with pytest.raises(UserError, match="no model"):
        (tmp_path / "empty").mkdir()
        load_generator(tmp_path / "empty")


@pytest.mark.parametrize(
    "option, said",
    [
        ({"band": None}, {"mask_mode": None}),
        ({"band": 6}, {"narrowband_length": 0.2}),
        ({"rotate_text": False}, {"apply_rope_to_single_branch": True}),
        ({"time_factor": 10.0}, {"time_factor": 10.0}),
    ],
)
def test_hymotion_options_change_the_motion_and_travel_in_config_yml(
    option: dict[str, object], said: dict[str, object], tmp_path: Path
) -> None:
    config = TINY["hymotion"]
    usual, other = (  # fewer frames to either side than there are, so that the band counts
        build_generator(config | {"denoiser": config["denoiser"] | {"band": 4} | own}).eval()
        for own in ({}, option)
    )
    for generator in (usual, other):
        generator.load_state_dict(tiny("hymotion").state_dict())
    save_official(other, tmp_path / "latest.ckpt")
    written = yaml.safe_load((tmp_path / "config.yml").read_text())
    assert {name: written[name] for name in said} == said
    found = sampled(load_generator(tmp_path / "latest.ckpt"), "hymotion")
    torch.testing.assert_close(found, sampled(other, "hymotion"))
    assert not torch.allclose(found, sampled(usual, "hymotion"))


def test_an_unknown_hymotion_mask_is_refused(tmp_path: Path) -> None:
    save_official(tiny("hymotion"), tmp_path / "latest.ckpt")
    (tmp_path / "config.yml").write_text("network:\n  mask_mode: causal\n")
    with pytest.raises(UserError, match="causal"):
        load_generator(tmp_path / "latest.ckpt")
