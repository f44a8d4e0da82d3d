"""refine-spl: failures are mined from the whole training set, and the run says what came of it."""

import json
from pathlib import Path

import pytest
import torch

from motionrft.data import MotionDataset, pad
from motionrft.loading import load_reward
from motionrft.registry import TEXT_ENCODERS
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.motionreward import CRITIC_OUTPUTS, MotionReward
from motionrft.reward.spl import mining
from motionrft.reward.spl.mining import mine_failures
from motionrft.reward.spl.refinement import Refiner
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.settings.layers import resolve
from motionrft_cli import main as program
from tests.reward.conftest import WordVectors
from tests.reward.published import write_backbone, write_critic

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


@pytest.mark.parametrize("variant", ["refinement", "paper"])
def test_failures_do_not_depend_on_the_blocks_they_are_looked_for_in(
    reward: MotionReward, dataset: MotionDataset, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    preset = RefineSplPreset.of({**SMALL, "variant": variant})
    whole = mine_failures(reward, dataset, "kinematic", preset)
    monkeypatch.setattr(mining, "BLOCK", 3 * 4 * len(dataset))
    parted = mine_failures(reward, dataset, "kinematic", preset)
    assert len(whole.items) > 0 and whole.rate == parted.rate
    assert torch.equal(whole.items, parted.items) and torch.equal(whole.negatives, parted.negatives)


def test_the_article_mines_the_training_set_and_means_over_the_batch(
    reward: MotionReward, dataset: MotionDataset
) -> None:
    preset = RefineSplPreset.of({**SMALL, "variant": "paper", "batch": 2})
    refiner = Refiner(reward, dataset, preset)
    reward.network.eval()
    loss, _ = refiner._refinement(0)
    found, batch = refiner.failures, refiner.anchor.batches[0]
    assert found is not None and not set(found.negatives.tolist()) <= set(batch.tolist())
    expected = torch.zeros(())
    for row in found.rows(batch).tolist():
        item, wrong = found.items[[row]], found.negatives[[row]]
        text = refiner._text([dataset.items[int(item)].captions[int(found.captions[row])].text])
        own, other = ((text * refiner._motion(one, "kinematic")).sum() for one in (item, wrong))
        expected = expected + torch.nn.functional.softplus(other - own) / len(batch)
    torch.testing.assert_close(loss, expected)


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
    for name, outputs in CRITIC_OUTPUTS.items():
        reward.critics[name] = critic = Critic(reward.network.motion, outputs, rank=4)
        for part in critic.parameters():
            torch.nn.init.normal_(part, std=0.1)
    reward.eval().weigh(dict.fromkeys(reward.terms, 1.0))
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
    assert set(refined.terms) == {"semantic", "similarity", "preference", "authenticity"}  # type: ignore[union-attr]
    motion, lengths = pad([MotionDataset(data_folder, "train").motion(number) for number in range(3)])
    texts = ["one", "two", "three"]
    before, after = (judge(motion, lengths, judge.prepare(texts))[1] for judge in (reward, refined))
    for name in CRITIC_OUTPUTS:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=1e-5)
    assert (after["semantic"] - before["semantic"]).abs().max() > 1e-6
    assert bool(list((out / "gallery").glob("*.png"))) == (variant != "official") == bool(report["gallery"])
    assert "before and after" in (out / "reward" / "README.md").read_text()


def test_it_is_said_when_there_was_nothing_to_refine(
    reward: MotionReward, data_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_reward(tmp_path / "reward", reward)
    arguments = [
        "--reward",
        str(tmp_path / "reward"),
        "--data",
        str(data_folder),
        "--out",
        str(tmp_path / "plus"),
    ]
    assert program.run(["refine-spl", *arguments, "--top-k", "8", "--updates", "1", "--set=batch=4"]) == 0
    assert "nothing to refine" in " ".join(capfd.readouterr().err.split())


def test_a_checkpoint_is_refined_with_the_adapters_of_the_rank_and_the_statistics_of_the_data(
    reward: MotionReward,
    data_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write_backbone(tmp_path, reward.network)
    for rank in (2, 4):
        write_critic(tmp_path, reward.network, rank, f"_r{rank}", f"_r{rank}")
    monkeypatch.setitem(
        TEXT_ENCODERS.added, "sentence-t5-large", (lambda path, device: WordVectors(), "a test")
    )
    arguments = ["refine-spl", "--reward", str(path), "--data", str(data_folder), "--set=variant=official"]
    arguments += ["--updates", "1", "--set=batch=4", "--out", str(tmp_path / "plus")]
    assert program.run(arguments) == 2
    assert "which adapters?" in capfd.readouterr().err
    assert program.run([*arguments, "--set=reward_rank=4"]) == 0
    refined = load_reward(tmp_path / "plus")
    assert refined.critics["preference"].adapter.rank == 4  # type: ignore[union-attr, operator]


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
