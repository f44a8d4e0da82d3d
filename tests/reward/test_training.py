"""train-reward: it learns, it resumes to the same bit, and it says what is missing."""

import json
from pathlib import Path

import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.errors import Interrupted, UserError
from motionrft.loading import load_reward
from motionrft.representations.statistics import Statistics
from motionrft.representations.windows import seen_from_windows
from motionrft.reward.motionreward import training
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.reward.motionreward.reward_session import REWARD, RewardSession
from motionrft.reward.motionreward.training import train_reward
from motionrft.settings.layers import resolve
from motionrft.training.progress import Silent

TINY = {
    "model": {
        "latent": 16,
        "width": 32,
        "feedforward": 32,
        "text_feedforward": 32,
        "projection_hidden": 24,
        "stack": 4,
        "log_variance_init": -5.0,
    },
    "semantic": {
        "updates": 12,
        "batch": 4,
        "batches": "distinct",
        "optimiser": {"lr": 3e-3},
        "loss": {"false_negatives": None, "decoded": 0.5},
        "validate_every": 6,
    },
    "checkpoint_every": 4,
}


def preset(data: Path, **changes: object) -> TrainRewardPreset:
    return TrainRewardPreset.of({**TINY, "data": str(data), **changes})


def session(out: Path, **options: bool) -> RewardSession:
    return RewardSession(out, torch.device("cpu"), torch.float32, lambda stage: Silent(), **options)


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    return load_reward(out).state_dict()


def test_training_lowers_the_loss_and_leaves_a_reward(data_folder: Path, tmp_path: Path) -> None:
    settings = preset(data_folder, semantic={**TINY["semantic"], "updates": 60, "validate_every": 30})
    reward = train_reward(settings, session(tmp_path / "run"))
    lines = (tmp_path / "run" / "semantic" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert "val/kinematic/label/t2m/R1" in json.loads(lines[29])
    assert set(reward.about["recall"]) == {"kinematic", "joints", "rotation"}
    held_out = reward.about["held_out"]
    assert held_out["split"] == "val" and held_out["clips"] > 0
    assert len(held_out["quantiles"]["semantic"]) == len(held_out["quantiles"]["jitter"]) == 101
    assert reward.known is not None
    assert "Command: `motionrft train-reward`" in (tmp_path / "run" / REWARD / "README.md").read_text()


def test_joints_seen_from_the_body_are_judged_alike_wherever_they_are(
    data_folder: Path, tmp_path: Path
) -> None:
    own = {"model": {**TINY["model"], "local_joints": True}, "semantic": {**TINY["semantic"], "updates": 2}}
    train_reward(preset(data_folder, **own), session(tmp_path / "run"))
    reward = load_reward(tmp_path / "run")
    here, lengths = torch.randn(2, 20, 22, 3), torch.tensor([20, 13])
    turned_about = here * torch.tensor([-1.0, 1.0, -1.0]) + torch.tensor([3.0, 0.0, 7.0])
    motions = [reward.normalise(x.flatten(2), lengths, "joints") for x in (here, turned_about)]
    places = [reward.network.encode_motion(motion, lengths, "joints") for motion in motions]
    torch.testing.assert_close(places[0].mean, places[1].mean, rtol=1e-4, atol=1e-4)


def test_statistics_of_joints_seen_from_the_body_are_those_of_each_clip_by_itself(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips of unequal lengths share a block, and of its padding nothing counts."""
    monkeypatch.setattr(training, "_CLIPS_AT_ONCE", 3)
    data = MotionDataset(data_folder, "train")
    clips = [data.motion(item, "joints").unflatten(-1, (22, 3)) for item in range(len(data))]
    expected = Statistics.of_clips([seen_from_windows(clip[None], 4)[0] for clip in clips], "joints")
    reward = training.new_reward(preset(data_folder, model={**TINY["model"], "local_joints": True}), data)
    found = reward.normalisers["joints"].statistics
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.std, expected.std)


def test_every_other_round_is_mirrored_with_its_captions(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motionrft.reward.motionreward import semantic
    from motionrft.reward.motionreward.reward_session import open_splits
    from motionrft.reward.motionreward.training import new_reward

    monkeypatch.setattr(semantic, "mirror_caption", str.upper)
    settings = preset(data_folder, semantic={**TINY["semantic"], "mirror": True})
    data = open_splits(settings.data, settings.min_frames, settings.max_frames)
    trainer = semantic.SemanticTrainer(new_reward(settings, data.train), data.train, None, settings.semantic)
    monkeypatch.setattr(trainer.reward, "normalise", lambda motion, lengths, name: motion)
    items, rounds = trainer.batches[0], (0, 3)
    plain, image = (trainer._texts(items, step) for step in rounds)
    assert all(text.islower() for text in plain) and all(text.isupper() for text in image)
    motions = (trainer._motion(items, step, "joints").target for step in rounds)
    left, right = (motion.unflatten(-1, (22, 3))[:, :, (20, 21), 0] for motion in motions)
    torch.testing.assert_close(right, -left.flip(-1))


def test_an_interrupted_run_ends_in_the_same_bits(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = preset(data_folder)
    train_reward(settings, session(tmp_path / "whole"))
    from motionrft.reward.motionreward import semantic

    update = semantic.SemanticTrainer.update

    def stop_at_seven(self: semantic.SemanticTrainer, step: int) -> dict[str, float]:
        if step == 7:
            raise KeyboardInterrupt
        return update(self, step)

    monkeypatch.setattr(semantic.SemanticTrainer, "update", stop_at_seven)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        train_reward(settings, session(tmp_path / "halves"))
    monkeypatch.setattr(semantic.SemanticTrainer, "update", update)
    train_reward(settings, session(tmp_path / "halves", resume=True))
    whole, halves = weights_of(tmp_path / "whole"), weights_of(tmp_path / "halves")
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_finished_stage_is_not_trained_again(data_folder: Path, tmp_path: Path) -> None:
    settings = preset(data_folder, semantic={**TINY["semantic"], "updates": 2})
    first = train_reward(settings, session(tmp_path / "run"))
    again = train_reward(settings, session(tmp_path / "run", resume=True))
    assert again.about["stages"] == ["semantic"]
    for name, value in first.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)


def test_what_is_missing_is_said(data_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="which data"):
        train_reward(TrainRewardPreset(), session(tmp_path / "run"))
    with pytest.raises(UserError, match="no such data set"):
        train_reward(preset(tmp_path / "nowhere"), session(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_sizes_that_cannot_be_built_are_refused_before_torch() -> None:
    with pytest.raises(UserError, match="layers must be odd"):
        TrainRewardPreset.of({"model": {"layers": 4}})
    with pytest.raises(UserError, match="does not divide into 5"):
        TrainRewardPreset.of({"model": {"heads": 5}})


def test_the_shipped_preset_is_the_trial_s_size() -> None:
    mini = resolve(TrainRewardPreset, "mini")
    size = mini.model.resolved(384)
    assert (size.latent, size.width, size.layers, size.stack, size.log_variance_init) == (128, 128, 3, 4, -5)
    assert mini.semantic.batch == 64 and mini.semantic.batches == "distinct"
