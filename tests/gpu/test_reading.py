"""What a training reads from the disk goes to the device without the host waiting for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset, collate
from motionrft.representations.mirror import mirror
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.reward.motionreward.semantic import SemanticTrainer
from motionrft.reward.motionreward.training import new_reward
from tests.gpu.fake_device import FakeDevice
from tests.reward.conftest import WordVectors

SMALL = {"representations": ["kinematic"], "width": 16, "latent": 16, "projection_hidden": 16}


@pytest.fixture
def data(tmp_path: Path) -> MotionDataset:
    for name in ("new_joint_vecs", "texts"):
        (tmp_path / name).mkdir()
    for number in range(6):
        clip = np.random.default_rng(number).normal(size=(40, 263)).astype(np.float32)
        np.save(tmp_path / "new_joint_vecs" / f"{number}.npy", clip)
        (tmp_path / "texts" / f"{number}.txt").write_text(f"a person walks {number}\n")
    (tmp_path / "train.txt").write_text("".join(f"{number}\n" for number in range(6)))
    rows = "".join(f"{number},kind{number},plain,group{number // 2}\n" for number in range(6))
    (tmp_path / "index.csv").write_text(f"clip_id,content,style,group\n{rows}")
    return MotionDataset(tmp_path, "train")


def test_a_batch_of_clips_is_moved_and_normalised_without_waiting(
    data: MotionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "motionrft.reward.motionreward.training.load_text_encoder", lambda wanted: WordVectors()
    )
    preset = TrainRewardPreset.of({"model": SMALL, "semantic": {"batch": 4}})
    trainer = SemanticTrainer(new_reward(preset, data), data, None, preset.semantic)
    items = trainer.batches[0]
    # Read before: lengths are numbers, which shapes do not have.
    batch = collate(data, items, preset.seed, 0, "kinematic")
    monkeypatch.setattr("motionrft.reward.motionreward.semantic.collate", lambda *asked: batch)
    with FakeDevice() as fake:
        trainer.device = fake.device
        trainer.reward.to(fake.device)
        trainer.table = trainer.table.to(fake.device)
        fake.clear()
        made = trainer._motion(items, 0, "kinematic")
        assert made.motion.is_cuda and made.lengths.is_cuda
        assert not fake.waits and not fake.doubles
        assert torch.device(made.t.device).type == "cuda"
        trainer.reward.text_encoder.encode(batch.texts).to(fake.device)
        assert not fake.copies


def test_the_losses_of_a_batch_of_whole_groups_wait_for_nothing(
    data: MotionDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = WordVectors()
    monkeypatch.setattr("motionrft.reward.motionreward.training.load_text_encoder", lambda wanted: words)
    preset = TrainRewardPreset.of(
        {"model": SMALL, "semantic": {"batch": 4, "batches": "grouped", "loss": {"order": 1.0}}}
    )
    trainer = SemanticTrainer(new_reward(preset, data), data, None, preset.semantic)
    assert trainer.groups is not None and bool((trainer.groups >= 0).all())
    plain, mirrored = 0, 1
    # Read before: lengths, groups and mirror images of columns are numbers, which shapes do not have.
    features = {step: words.encode(trainer._texts(trainer.batches[step], step)) for step in (plain, mirrored)}
    batches = {
        step: collate(data, trainer.batches[step], preset.seed, step, "kinematic") for step in features
    }
    drawn = {step: trainer.batches[step] for step in features}
    mirror(batches[plain].motion, "kinematic")
    monkeypatch.setattr(
        "motionrft.reward.motionreward.semantic.collate", lambda d, i, s, step, *_: batches[step]
    )
    monkeypatch.setattr(trainer, "_expect", lambda step: None)
    monkeypatch.setattr(trainer, "_texts", lambda items, step: [str(step)])
    monkeypatch.setattr(words, "encode", lambda texts: features[int(texts[0])])
    monkeypatch.setattr(trainer, "batches", drawn)
    with FakeDevice() as fake:
        trainer.device = fake.device
        trainer.reward.to(fake.device)
        trainer.table = trainer.table.to(fake.device)
        for step in (plain, mirrored):
            fake.clear()
            trainer.loss(step)
            assert not fake.waits and not fake.copies and not fake.doubles
