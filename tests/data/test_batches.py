"""Batches are functions of seed and step, balanced or without two of a kind."""

import itertools

import pytest
import torch

from motionrft.data import BalancedBatches, DistinctBatches, GroupedBatches, MotionDataset, collate, pad
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.mini import MiniSize
from motionrft.evaluation.evaluators.training import EvaluatorTrainer, EvaluatorTraining
from motionrft.files.packing import repack
from tests.reward.conftest import WordVectors


def test_a_step_draws_the_same_items_every_time(folder):
    dataset = MotionDataset(folder, "train")
    for batches in (BalancedBatches(dataset, 4, seed=1), DistinctBatches(dataset, 3, seed=1)):
        assert torch.equal(batches[7], batches[7])
        assert any(not torch.equal(batches[7], batches[step]) for step in range(8, 20))


def test_no_two_items_of_a_distinct_batch_share_a_label(folder):
    dataset = MotionDataset(folder, "train")
    batches = DistinctBatches(dataset, 64, seed=0)
    for step in range(20):
        labels = dataset.labels[batches[step]]
        assert len(labels) == len(labels.unique()) == 4


def test_grouped_batches_without_a_group_are_refused(folder):
    with pytest.raises(UserError, match=r"`batches: grouped` needs .* names none"):
        GroupedBatches(MotionDataset(folder, "train"), 4, seed=0)


def test_every_batch_of_an_evaluator_that_groups_holds_a_whole_group(folder):
    clips = (folder / "train.txt").read_text().split()
    rows = [f"{clip},{number // 2},{number}" for number, clip in enumerate(clips)]
    (folder / "index.csv").write_text("clip_id,group,content\n" + "\n".join(rows) + "\n")
    dataset = MotionDataset(folder, "train")
    size = MiniSize(text=24, width=16, hidden=16, embedding=8)
    settings = EvaluatorTraining(steps=2, batch=4, batches="grouped")
    trainer = EvaluatorTrainer(dataset, WordVectors(), settings, size)
    trainer.update(0)
    for step in range(8):
        groups = dataset.groups[trainer.batches[step]]
        assert torch.bincount(groups).max() == 2


def test_a_batch_that_no_group_fits_into_is_refused(folder):
    clips = (folder / "train.txt").read_text().split()
    rows = [f"{clip},{number // 2},{number},calm" for number, clip in enumerate(clips)]
    (folder / "index.csv").write_text("\n".join(["clip_id,group,content,style", *rows]))
    dataset = MotionDataset(folder, "train")
    with pytest.raises(UserError, match="no group fits into its share of a batch, 1 of 3"):
        GroupedBatches(dataset, 3, seed=0)
    assert len(GroupedBatches(dataset, 4, seed=0)[0]) == 4


def test_a_common_label_is_drawn_as_the_root_of_its_takes(folder):
    dataset = MotionDataset(folder, "train")
    batches = BalancedBatches(dataset, 100, seed=0)
    labels = dataset.labels[torch.cat([batches[step] for step in range(100)])]
    shares = torch.bincount(labels).float() / len(labels)
    takes = torch.bincount(dataset.labels).float().sqrt()
    torch.testing.assert_close(shares, takes / takes.sum(), atol=0.02, rtol=0)


def test_batches_of_a_group_share_items_out_by_length(folder):
    dataset = MotionDataset(folder, "train")
    batches = BalancedBatches(dataset, 8, seed=0, group=4)
    spans = sorted(
        (lengths.min().item(), lengths.max().item())
        for lengths in (dataset.lengths[batches[s]] for s in range(4))
    )
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_pad_leaves_zeros_behind_each_motion():
    motion, lengths = pad([torch.ones(3, 2), torch.ones(5, 2)], multiple=4)
    assert motion.shape == (2, 8, 2)
    assert lengths.tolist() == [3, 5]
    assert motion.sum() == 16


def test_collate_draws_one_of_each_items_captions(folder):
    dataset = MotionDataset(folder, "train")
    drawn = {collate(dataset, torch.tensor([0, 6]), seed=0, step=step).texts[0] for step in range(20)}
    assert drawn == {"clip 0", "again 0"}
    assert collate(dataset, torch.tensor([0, 6]), seed=0, step=0).texts[1] == "only a part"


def test_rows_of_a_batch_are_those_of_the_whole_and_the_others_are_not_read(folder, monkeypatch):
    dataset, items = MotionDataset(folder, "train"), torch.tensor([0, 3, 5, 1])
    whole = collate(dataset, items, 0, 4)
    read = []
    motion = dataset.motion
    monkeypatch.setattr(dataset, "motion", lambda item, name: read.append(item) or motion(item, name))
    part = collate(dataset, items, 0, 4, rows=slice(0, 2))
    assert read == [0, 3]
    assert torch.equal(part.motion, whole.motion[:2]) and torch.equal(part.lengths, whole.lengths[:2])
    assert part.texts == whole.texts[:2] and part.items.tolist() == [0, 3]


@pytest.mark.parametrize("layout", ["files", "files, nothing read ahead", "shards"])
def test_a_training_is_bit_equal_however_its_clips_are_read(folder, monkeypatch, layout):
    settings = EvaluatorTraining(steps=6, batch=3)
    made = []
    for way in ("files", layout):
        root = folder
        if way == "shards":
            root = folder.parent / "packed"
            repack(folder, root, "shards")
        if "nothing" in way:
            monkeypatch.setattr(MotionDataset, "expect", lambda *wanted: None)
        size = MiniSize(text=24, width=16, hidden=16, embedding=8)
        trainer = EvaluatorTrainer(MotionDataset(root, "train"), WordVectors(), settings, size)
        for step in range(settings.steps):
            trainer.update(step)
        made.append(trainer.network.state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
