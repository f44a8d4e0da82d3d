"""Statistics: closed forms, files, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.representations.kinematic import blocks
from motionrft.representations.statistics import Statistics


def test_statistics_are_those_of_all_frames_together() -> None:
    random = np.random.default_rng(0)
    clips = [random.normal(1e3, 2.0, (n, 135)).astype(np.float32) for n in (5, 40, 17)]
    statistics = Statistics.of_clips(clips, "rotation")
    frames = np.concatenate(clips).astype(np.float64)
    np.testing.assert_allclose(statistics.mean, frames.mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics.std, frames.std(0), rtol=1e-5)


def test_kinematic_std_is_averaged_inside_each_block() -> None:
    clip = torch.randn(200, 263, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 3, 263)
    std = Statistics.of_clips([clip]).std
    for place in blocks().values():
        expected = clip.double().std(0, correction=0)[place].mean().float()
        torch.testing.assert_close(std[place], expected.expand_as(std[place]))


def test_clips_with_nan_are_left_out() -> None:
    good, bad = torch.randn(20, 135), torch.full((20, 135), torch.nan)
    torch.testing.assert_close(
        Statistics.of_clips([good, bad], "rotation").mean, Statistics.of_clips([good], "rotation").mean
    )
    with pytest.raises(UserError, match="at least one clip"):
        Statistics.of_clips([bad], "rotation")


def test_joints_share_three_values_and_may_be_flat() -> None:
    joints = torch.randn(30, 22, 3) * torch.tensor([1.0, 2.0, 3.0]) + 5
    statistics = Statistics.of_clips([joints], "joints")
    assert statistics.mean.shape == (3,)
    normalised = statistics.normalise(joints)
    torch.testing.assert_close(statistics.normalise(joints.flatten(1)), normalised.flatten(1))
    torch.testing.assert_close(statistics.denormalise(normalised), joints)


def test_a_value_that_never_changes_becomes_zero() -> None:
    statistics = Statistics(torch.tensor([2.0]), torch.tensor([0.0]))
    assert statistics.normalise(torch.full((4, 1), 2.0)).abs().max() == 0


def test_files_round_trip_and_missing_ones_are_named(tmp_path: Path) -> None:
    statistics = Statistics(torch.randn(135), torch.rand(135))
    statistics.save(tmp_path, "rotation")
    again = Statistics.load(tmp_path, "rotation")
    assert torch.equal(again.mean, statistics.mean) and torch.equal(again.std, statistics.std)
    with pytest.raises(UserError, match=r"Mean\.npy: missing"):
        Statistics.load(tmp_path)
    (tmp_path / "Mean_135.npy").write_bytes(b"<html>")
    with pytest.raises(UserError, match="Mean_135"):
        Statistics.load(tmp_path, "rotation")
