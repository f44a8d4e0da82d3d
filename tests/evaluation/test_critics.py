"""Preference and authenticity of a reward with a known answer, and physics of files."""

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.evaluation.critics import evaluate_authenticity, evaluate_preference
from motionrft.evaluation.motion_physics import evaluate_physics
from motionrft.reward.base import Reward, RewardCondition
from tests.abroad.layouts import KIT_ML, features_of


class Height(Reward):
    """Prefers tall motions; calls those above a metre real."""

    representation = "kinematic"

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def prepare(self, texts, references=None, lengths=None):
        return RewardCondition()

    def forward(self, motion, lengths, condition, t=0):
        height = motion[:, :, 3].sum(1) / lengths
        return height, {"preference": height, "authenticity": (height > 1).float()}


def _write(path, height, frames=30):
    motion = np.zeros((frames, 263), np.float32)
    motion[:, 3] = height
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, motion)


def test_preference_counts_pairs(tmp_path):
    for row in range(8):
        _write(tmp_path / "better" / f"{row}.npy", 1.0 + (row != 3), frames=20 + row)
        _write(tmp_path / "worse" / f"{row}.npy", 1.5)
    result = evaluate_preference(Height(), tmp_path, "height", "id")
    assert result.metrics["accuracy"] == [7 / 8] and result.metrics["swapped/accuracy"] == [7 / 8]


def test_pairs_are_judged_at_the_reward_s_rate(tmp_path):
    for row in range(4):
        for side in ("better", "worse"):
            (tmp_path / side).mkdir(exist_ok=True)
            np.savez(tmp_path / side / f"{row}.npz", motion=np.zeros((61, 22, 3), np.float32), fps=60.0)
    reward, lengths = Height(), []
    reward.representation = "joints"
    reward.forward = lambda motion, frames, *_: (
        lengths.extend(frames.tolist()),
        {"preference": frames * 1.0},
    )
    evaluate_preference(reward, tmp_path, "height", "id")
    assert set(lengths) == {21}
    reward.about, lengths[:] = {"fps": 30.0}, []
    evaluate_preference(reward, tmp_path, "height", "id")
    assert set(lengths) == {31}


def test_a_motion_without_a_partner_is_named(tmp_path):
    _write(tmp_path / "better" / "a.npy", 1.0)
    with pytest.raises(UserError, match="better/NAME"):
        evaluate_preference(Height(), tmp_path, "height", "id")
    _write(tmp_path / "worse" / "b.npy", 1.0)
    with pytest.raises(UserError, match="a has no partner"):
        evaluate_preference(Height(), tmp_path, "height", "id")


def test_pairs_are_read_from_a_list_and_from_a_published_file(tmp_path):
    _write(tmp_path / "a.npy", 1.5)
    _write(tmp_path / "b.npy", 1.0)
    lines = '{"better": "a.npy", "worse": "b.npy", "kind": "x"}\n{"better": "b.npy", "worse": "a.npy", "kind": "y"}\n'
    (tmp_path / "pairs.jsonl").write_text(lines)
    for place in (tmp_path, tmp_path / "pairs.jsonl"):
        result = evaluate_preference(Height(), place, "height", "id")
        assert [result.metrics[name] for name in ("accuracy", "accuracy/x", "accuracy/y")] == [
            [0.5],
            [1.0],
            [0.0],
        ]
    tall, low = (torch.from_numpy(np.load(tmp_path / f"{name}.npy")) for name in "ab")
    listed = [{"motion_better": tall[None], "motion_worse": low[None]}] * 2
    stacked = {"motion_better": torch.stack((tall, tall)), "motion_worse": torch.stack((low, low))}
    for content in (listed, stacked):
        torch.save(content, tmp_path / "critic.pth")
        result = evaluate_preference(Height(), tmp_path / "critic.pth", "height", "id")
        assert result.metrics["accuracy"] == [1.0]


def test_authenticity_meets_real_motions_of_the_same_length_and_counts(folder, tmp_path):
    for row in range(5):
        _write(tmp_path / f"{row}.npy", 1.2 if row else 0.8)
    result = evaluate_authenticity(Height(), MotionDataset(folder, "test"), tmp_path, "height", "id")
    names = ("true_positive", "false_positive", "false_negative", "true_negative")
    cells = [result.metrics[name][0] for name in names]
    assert cells == [1, 5, 4, 0] and result.metrics["share_generated"] == [0.5]
    assert result.metrics["score/generated"] == [0.8] and result.metrics["score/real"] == [0.0]


def test_kits_features_have_physics_at_any_rate(tmp_path):
    np.save(tmp_path / "a.npy", features_of(KIT_ML, 0).numpy())
    result, faults = evaluate_physics(tmp_path)
    assert not faults and result.metrics["jitter"][0] > 0


def test_physics_of_files_with_real_motion_beside_and_bad_files_told(folder, tmp_path):
    for row in range(3):
        _write(tmp_path / f"{row}.npy", 0.9)
    (tmp_path / "page.npy").write_text("<html>")
    _write(tmp_path / "short.npy", 0.9, frames=3)
    result, faults = evaluate_physics(tmp_path, MotionDataset(folder, "test"), limit=4)
    assert result.data["items"] == 3 and len(result.real["jitter"]) == 4
    assert result.metrics["jitter"] == [0, 0, 0] and result.metrics["bone_length_drift"] == [0, 0, 0]
    assert len(faults) == 2 and "page.npy" in faults[0] and "3 frames" in faults[1]
