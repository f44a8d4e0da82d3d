"""A generator's own features as part of the reward: a Kimodo of the robot is tuned by what its hinges allow."""

import json
from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneSession, finetune
from motionrft.generators.folder import read_generator, save_generator
from motionrft.generators.kimodo import Kimodo
from motionrft.registry import TEXT_ENCODERS
from motionrft.settings.layers import resolve
from tests.generators.families import KIMODO, WordEncoder

TEXTS = [f"{who} {what}" for who in ("it", "the robot") for what in ("walks", "waves", "turns")]
COSTS = {"hinge_limits": 5.0, "off_hinge": 5.0, "consistency": 1.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(TEXT_ENCODERS.added, "words", (lambda path, device: WordEncoder(), "a test"))
    torch.manual_seed(0)
    config = {"denoiser": {**KIMODO, "joints": 34}, "text": "words", "steps": 8}
    save_generator(Kimodo.from_config(config).eval(), tmp_path / "g1")
    save_generator(
        Kimodo.from_config(config | {"denoiser": {**KIMODO, "joints": 22}}).eval(), tmp_path / "smplx"
    )
    (tmp_path / "prompts.txt").write_text("\n".join(TEXTS))
    return tmp_path


def preset(folder: Path, **values: object) -> FinetunePreset:
    quiet = {"watch": {"every": 0}, "evaluation": {"prompts": 0}, "guidance": 1.0, "frames": 24}
    small = {
        "method": {"method": "easytune", "k": 4},
        "steps": 8,
        "batch": 3,
        "updates": 40,
        "optimiser": {"lr": 3e-3},
    }
    named = {"generator": str(folder / "g1"), "prompts": str(folder / "prompts.txt"), "weights": COSTS}
    return FinetunePreset.of({**quiet, **small, **named, **values})


def session(out: Path) -> FinetuneSession:
    return FinetuneSession(out, torch.device("cpu"))


def test_hinges_and_blocks_come_right(folder: Path) -> None:
    done = finetune(preset(folder), session(folder / "run"))
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    for name in COSTS:
        values = [line[f"reward/{name}"] for line in lines]
        assert sum(values[-8:]) < 0.9 * sum(values[:8]), name
    tuned = read_generator(done.generator)
    assert tuned.representation == "joints", "what it is judged by is no part of the model"


def test_physics_of_joints_may_stand_beside_it(folder: Path) -> None:
    weights = {**COSTS, "foot_skating": 0.2, "jitter": 0.0005}
    found = estimate(preset(folder, weights=weights), session(folder / "none"))
    assert found.graph_bytes > 0 and found.text.endswith(("texts are encoded", "with words"))
    assert not (folder / "none").exists()


def test_smplx_keeps_its_blocks_together_on_the_bones_that_came_with_it(folder: Path) -> None:
    generator = read_generator(folder / "smplx")
    generator.rest_joints.copy_(0.2 * torch.randn(22, 3, generator=torch.Generator().manual_seed(0)))
    save_generator(generator, folder / "boned")
    asked = {"generator": str(folder / "boned"), "weights": {"consistency": 1.0}, "updates": 40}
    finetune(preset(folder, **asked), session(folder / "run"))
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    values = [line["reward/consistency"] for line in lines]
    assert sum(values[-6:]) < 0.9 * sum(values[:6])


def test_generators_without_such_features_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"weights\.hinge_limits: this generator has no such cost"):
        finetune(preset(folder, generator=str(folder / "smplx")), session(folder / "run"))
    assert not (folder / "run").exists() or not any((folder / "run").glob("checkpoints/*"))


def test_the_shipped_preset_weighs_what_the_robot_has(folder: Path) -> None:
    shipped = resolve(FinetunePreset, "kimodo-g1-physics", environment={})
    assert {name for name in COSTS if shipped.weights[name]} == set(COSTS) and shipped.lora.enabled
    assert set(read_generator(folder / "g1").feature_costs) == set(COSTS)
