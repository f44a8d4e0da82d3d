"""Kimodo on the command line: one motion in several files is one motion, and wrong constraints leave nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.files.motions import read_motions
from motionrft.generators import build_generator, save_generator
from motionrft.official.generators import save_official
from motionrft.representations.rotation import default_rest_joints
from tests.cli.conftest import Result
from tests.generators.families import KIMODO, encoder_for, tiny


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: encoder_for("kimodo"))
    save_generator(tiny("kimodo"), tmp_path / "model")
    path = [{"type": "root2d", "frame_indices": [20], "smooth_root_2d": [[1, 2]]}]
    (tmp_path / "constraints.json").write_text(json.dumps(path))
    return tmp_path / "model"


def test_files_of_a_motion_agree(model: Path, run: Callable[..., Result]) -> None:
    folder = model.parent
    constrained = ("--constraints", str(folder / "constraints.json"), "--heading", "90")
    result = run(
        *("sample", "a person waves", "--generator", str(model), "--length", "24", "--steps", "3"),
        *("--format", "kimodo,npy", *constrained, "--json", "--out", str(folder / "out")),
    )
    assert result.code == 0, result.err
    npz, npy = json.loads(result.out)["files"]
    with np.load(npz) as members:
        assert members["posed_joints"].shape == (24, 77, 3)
        assert members["foot_contacts"].shape == (24, 4)
    (motion,) = read_motions(Path(npz))
    found, expected = torch.from_numpy(motion.array), torch.from_numpy(np.load(npy))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_dry_run_says_how_many_passes_a_step_takes(model: Path, run: Callable[..., Result]) -> None:
    asked = ("sample", "a person waves", "--generator", str(model), "--length", "24", "--dry-run", "--json")
    out = ("--out", str(model.parent / "out"))
    constrained = ("--constraints", str(model.parent / "constraints.json"))
    assert json.loads(run(*asked, *out).out)["passes"] == 2
    assert json.loads(run(*asked, *constrained, *out).out)["passes"] == 3


def test_constraints_beyond_the_end_write_nothing(model: Path, run: Callable[..., Result]) -> None:
    constraints = ("--constraints", str(model.parent / "constraints.json"))
    out = model.parent / "out"
    result = run(
        *("sample", "a person waves", "--generator", str(model), "--length", "20", "--steps", "3"),
        *(*constraints, "--out", str(out)),
    )
    assert result.code == 2 and "frame 20 is outside the motion's 20 frames" in result.err
    assert not list(out.rglob("*.*"))


def test_each_prompt_is_held_to_its_own_constraints(model: Path, run: Callable[..., Result]) -> None:
    folder = model.parent
    wishes = json.loads((folder / "constraints.json").read_text())
    (folder / "all.jsonl").write_text(json.dumps({"text": "A person walks.", "constraints": wishes}))
    asked = (
        "sample",
        "a person waves",
        "a person walks",
        "--generator",
        str(model),
        "--steps",
        "3",
        "--format",
        "npy",
    )
    free = run(*asked, "--length", "24", "--out", str(folder / "free"), "--json")
    held = run(
        *asked,
        "--length",
        "24",
        "--constraints",
        str(folder / "all.jsonl"),
        "--out",
        str(folder / "held"),
        "--json",
    )
    assert (free.code, held.code) == (0, 0) and "constraints for 1 of 2 prompts" in held.err
    files = [[np.load(json.loads(line)["file"]) for line in each.out.splitlines()] for each in (free, held)]
    assert np.allclose(files[0][0], files[1][0], atol=1e-5) and not np.allclose(
        files[0][1], files[1][1], atol=1e-3
    )
    short = run(
        *asked,
        "--length",
        "20",
        "--constraints",
        str(folder / "all.jsonl"),
        "--dry-run",
        "--out",
        str(folder / "no"),
    )
    assert short.code == 2 and "all.jsonl: line 1: constraint 0 (root2d): frame 20 is outside" in short.err


def test_prompts_become_one_motion(model: Path, run: Callable[..., Result]) -> None:
    out = model.parent / "out"
    result = run(
        *("sample", "a person waves", "a person walks.", "--set", "chain=true", "--generator", str(model)),
        *("--length", "24", "--steps", "3", "--format", "npy", "--json", "--out", str(out)),
    )
    assert result.code == 0, result.err
    (line,) = map(json.loads, result.out.splitlines())
    assert line["prompt"] == "a person waves. a person walks." and line["frames"] == 48
    assert np.load(line["file"]).shape == (48, 22, 3)


def test_a_motion_of_smplx_is_written_with_its_own_joints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
    """From a published folder with the rest joints of the person's own Kimodo; G1's rows are fitted to those joints."""
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: encoder_for("kimodo"))
    made = build_generator({"family": "kimodo", "denoiser": KIMODO | {"joints": 22}})
    rest = default_rest_joints().float() + 0.02 * torch.randn(
        22, 3, generator=torch.Generator().manual_seed(4)
    )
    made.rest_joints.copy_(rest)
    folder = tmp_path / "Kimodo-SMPLX-RP-v1"
    save_official(made, folder / "model.safetensors")
    result = run(
        *("sample", "a person waves", "--generator", str(folder), "--length", "24", "--steps", "3"),
        *("--format", "kimodo,npy,g1-csv", "--json", "--out", str(tmp_path / "out")),
    )
    assert result.code == 0, result.err
    npz, npy, rows = json.loads(result.out)["files"]
    with np.load(npz) as members:
        posed, world = (torch.from_numpy(members[name]) for name in ("posed_joints", "global_rot_mats"))
        assert members["foot_contacts"].shape == (24, 4) and members["smooth_root_pos"].shape == (24, 3)
    knee = world[:, 1] @ (rest[4] - rest[1])
    torch.testing.assert_close(posed[:, 4] - posed[:, 1], knee, rtol=0, atol=1e-5)
    torch.testing.assert_close(posed, torch.from_numpy(np.load(npy)), rtol=0, atol=1e-4)
    (motion,) = read_motions(Path(npz))
    assert "22 joints of SMPL-X" in motion.notes[0] and np.allclose(motion.array, posed, atol=1e-6)
    assert np.loadtxt(rows, delimiter=",").shape == (24, 36)
