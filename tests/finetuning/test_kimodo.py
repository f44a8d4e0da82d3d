"""Kimodo from a published folder, tuned with adapters under constraints, and written back: what every bridge loads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from motionrft.errors import UserError
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.loading import identities
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.session import FinetuneSession
from motionrft.generators import read_generator
from motionrft.official.generators import export_official, save_official
from motionrft.registry import REWARDS
from tests.finetuning.small import TEXTS
from tests.generators.families import WordEncoder, tiny

PATH = [{"type": "root2d", "frame_indices": [0, 20], "smooth_root_2d": [[0, 0], [1, 0]]}]


def raised_hands(joints, lengths, texts, fps):
    """Mean height of the wrists."""
    return joints[:, :, 20:22, 1].mean((1, 2))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as published, prompts and constraints; texts are read by words."""
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: WordEncoder())
    monkeypatch.setitem(REWARDS.added, "raised-hands", (raised_hands, "a test"))
    save_official(tiny("kimodo"), tmp_path / "Kimodo-SOMA-RP-v1" / "model.safetensors")
    (tmp_path / "prompts.txt").write_text("\n".join(TEXTS))
    (tmp_path / "constraints.json").write_text(json.dumps(PATH))
    return tmp_path


def preset(place: Path, **values: object) -> FinetunePreset:
    base = {
        "generator": str(place / "Kimodo-SOMA-RP-v1"),
        "prompts": str(place / "prompts.txt"),
        "constraints": str(place / "constraints.json"),
        "reward": "raised-hands",
        "frames": 24,
        "method": {"method": "easytune", "k": 2},
        "steps": 4,
        "batch": 2,
        "updates": 2,
        "lora": {"enabled": True, "rank": 2},
        "optimiser": {"lr": 1e-2, "warmup": 0},
        "watch": {"every": 0},
        "evaluation": {"prompts": 0},
    }
    return FinetunePreset.of({**base, **values})


def session(out: Path) -> FinetuneSession:
    return FinetuneSession(out, torch.device("cpu"))


def test_a_published_folder_is_tuned_and_written_back_as_its_merged_weights(place: Path) -> None:
    finetune(preset(place), session(place / "run"))
    tuned = read_generator(place / "run" / "generator")
    export_official(place / "run" / "generator", place / "back")
    before, after = (
        load_file(f / "model.safetensors") for f in (place / "Kimodo-SOMA-RP-v1", place / "back")
    )
    assert before.keys() == after.keys()
    assert all(
        torch.equal(value, after[f"denoiser.backbone.{name}"])
        for name, value in tuned.denoiser.state_dict().items()
    )
    moved = {name.split("layers.")[-1][2:] for name in after if not torch.equal(after[name], before[name])}
    adapted = {"self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"}
    assert moved == adapted
    assert (place / "back" / "config.yaml").read_text() == (
        place / "Kimodo-SOMA-RP-v1" / "config.yaml"
    ).read_text()


def test_a_dry_run_says_passes_and_licence(place: Path) -> None:
    found = estimate(preset(place, guidance=2.0), session(place / "run"))
    assert found.passes == 3 and "NVIDIA" in found.licence
    free = estimate(preset(place, guidance=2.0, constraints=None), session(place / "run"))
    assert free.passes == 2 and free.graph_bytes < found.graph_bytes


def test_constraints_beyond_the_motions_are_refused_before_anything_runs(place: Path) -> None:
    with pytest.raises(UserError, match=r"constraints\.json: .*frame 20 is outside the motion's 20"):
        finetune(preset(place, frames=20), session(place / "run"))


def test_constraints_that_changed_are_another_run(place: Path) -> None:
    before = identities(preset(place))
    assert identities(preset(place)) == before
    (place / "constraints.json").write_text("[]")
    after = identities(preset(place))
    assert [name for name in before if before[name] != after[name]] == ["constraints"]
    (place / "constraints.json").unlink()
    with pytest.raises(UserError, match="no such file or folder of constraints"):
        identities(preset(place))
