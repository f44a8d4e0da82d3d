"""refine-spl: failures are mined from the whole training set, and the run says what came of it."""

import json
from pathlib import Path

import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.loading import load_reward
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.spl.refinement import Refiner, mine_failures
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.settings.layers import resolve
from motionrft_cli import main as program

SMALL = {"updates": 4, "batch": 4, "bank_every": 2, "top_k": 1, "optimiser": {"lr": 1e-3}}


def test_failures_are_wrong_answers_of_another_kind(reward: MotionReward, dataset: MotionDataset) -> None:
    preset = RefineSplPreset.of({**SMALL, "duplicates": 1.0})
    found = mine_failures(reward, dataset, "kinematic", preset)
    labels = dataset.labels
    assert labels is not None and len(found.items) > 0
    assert (labels[found.items] != labels[found.negatives]).all()
    assert found.rate == pytest.approx(len(found.items) / len(dataset))
    none_left = mine_failures(reward, dataset, "kinematic", RefineSplPreset.of({**SMALL, "top_k": 8}))
    assert len(none_left.items) == 0 and none_left.rate == 0.0


def test_refining_brings_own_motions_nearer_than_wrong_ones(
    reward: MotionReward, dataset: MotionDataset
) -> None:
    preset = RefineSplPreset.of({**SMALL, "updates": 30, "bank_every": 100, "weight": 1.0, "duplicates": 1.0})
    refiner = Refiner(reward, dataset, preset)
    values = [refiner.update(step)["refinement"] for step in range(30)]
    assert sum(values[-5:]) < 0.8 * sum(values[:5])


@pytest.mark.parametrize("variant", ["refinement", "paper", "official"])
def test_the_command_reports_before_and_after(
    reward: MotionReward, data_folder: Path, tmp_path: Path, variant: str, capfd: pytest.CaptureFixture[str]
) -> None:
    save_reward(tmp_path / "reward", reward)
    settings = [f"--set={key}={json.dumps(value)}" for key, value in SMALL.items()]
    out = tmp_path / "plus"
    arguments = [
        "--reward",
        str(tmp_path / "reward"),
        "--data",
        str(data_folder),
        "--out",
        str(out),
        "--json",
    ]
    assert program.run(["refine-spl", *arguments, f"--set=variant={variant}", *settings]) == 0
    report = json.loads(capfd.readouterr().out)
    assert set(report["before"]) == {"kinematic", "joints", "rotation"}
    refined = load_reward(out)
    assert refined.about["refined"] == variant  # type: ignore[union-attr]
    assert any(
        not torch.equal(value, reward.state_dict()[name]) for name, value in refined.state_dict().items()
    )
    assert "before and after" in (out / "reward" / "README.md").read_text()


def test_the_state_holds_what_was_mined(reward: MotionReward, dataset: MotionDataset) -> None:
    preset = RefineSplPreset.of({**SMALL, "duplicates": 1.0})
    refiner = Refiner(reward, dataset, preset)
    refiner.update(0)
    other = Refiner(reward, dataset, preset)
    other.load_state_dict(refiner.state_dict())
    assert other.look == refiner.look
    assert other.failures is not None and refiner.failures is not None
    assert torch.equal(other.failures.items, refiner.failures.items)


def test_the_shipped_preset_resolves() -> None:
    assert resolve(RefineSplPreset, "mini").variant == "refinement"
