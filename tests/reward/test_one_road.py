"""One motion has one score, whatever file it comes in; and what percentiles and distances rest on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset
from motionrft.files import Motion, read_motions
from motionrft.files.bvh_writer import write_bvh
from motionrft.representations.convert import convert
from motionrft.representations.rotation import default_rest_joints
from motionrft.reward.folder import load_motionreward, save_reward
from motionrft.reward.held_out import add_references
from motionrft.reward.known import Known, activity
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.quantiles import HeldOut
from motionrft.reward.scoring import PHYSICS, Query, Score, Scorer, choose_terms
from motionrft_cli import main as program
from tests.reward.conftest import person


def recording(frames: int = 51, fps: float = 30.0, speed: float = 0.8) -> Motion:
    """A glide over the floor, in a body that is not the default one."""
    joints = 0.9 * person(frames, speed, 0.4)
    return Motion(joints.numpy(), "joints", fps, Path("walk.npy"))


def scored(motion: Motion, reward: MotionReward | None = None, **options: object) -> Score:
    terms = choose_terms(None if reward else ["physics"], reward)
    (found,) = Scorer(reward, terms, **options).score([Query(motion, "a person walks")])
    assert isinstance(found, Score), found
    return found


def as_file(motion: Motion, representation: str) -> Motion:
    values = convert(torch.from_numpy(motion.array)[None], motion.representation, representation)[0]
    return replace(motion, array=values.numpy(), representation=representation)


def test_bvh_and_joints_of_one_clip_score_the_same(tmp_path: Path) -> None:
    write_bvh(tmp_path / "walk.bvh", torch.from_numpy(recording().array), 30.0)
    (bvh,) = read_motions(tmp_path / "walk.bvh", fps=20)
    np.save(tmp_path / "walk.npy", bvh.array)
    (joints,) = read_motions(tmp_path / "walk.npy")
    for name, value in scored(bvh).scores.items():
        assert value == pytest.approx(scored(joints).scores[name], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("representation", ["kinematic", "rotation"])
def test_other_skeletons_change_physics_by_their_size_alone(representation: str) -> None:
    own = recording(fps=20.0)
    wanted, found = scored(own).scores, scored(as_file(own, representation)).scores
    legs = default_rest_joints()[[4, 7, 1], 1]
    ratio = float((legs[2] - legs[1]) / (0.9 * (0.82 - 0.08)))
    assert found["foot_skating"] == pytest.approx(ratio * wanted["foot_skating"], rel=0.1)
    for name in ("penetration", "floating", "hovering"):
        assert found[name] == pytest.approx(wanted[name], abs=0.01)


def test_the_reward_judges_one_representation_or_each_files_own(reward: MotionReward) -> None:
    joints = recording(fps=20.0)
    kinematic = as_file(joints, "kinematic")
    one, same = (scored(m, reward).scores["semantic"] for m in (joints, kinematic))
    assert one == pytest.approx(same, abs=1e-5)
    own = scored(joints, reward, representation="own").scores["semantic"]
    assert own != pytest.approx(one, abs=1e-4)


def test_physics_is_measured_at_the_rewards_rate_whatever_the_file_has() -> None:
    slow, fast = recording(41, 20.0), recording(121, 60.0)
    fast = replace(fast, array=np.repeat(slow.array, 3, axis=0)[:121])
    again = scored(replace(fast, array=fast.array), fps=20.0)
    assert again.scores["jitter"] != scored(fast, fps=60.0).scores["jitter"]
    assert scored(slow).scores == scored(slow, fps=20.0).scores


def test_a_sunk_file_is_seen_in_every_format_and_a_distant_zero_is_told(tmp_path: Path) -> None:
    sunk = replace(recording(), array=recording().array - np.array([0, 0.12, 0], np.float32))
    write_bvh(tmp_path / "sunk.bvh", torch.from_numpy(sunk.array), 30.0)
    for motion in (sunk, read_motions(tmp_path / "sunk.bvh")[0]):
        assert scored(motion).scores["penetration"] > 0.02
    rooted = replace(sunk, array=sunk.array - sunk.array[:, :1])
    found = scored(rooted)
    assert found.scores["penetration"] < 0.02 and "cannot be the floor" in found.remarks[0]


def test_rotations_made_for_another_body_are_not_taken_to_be_sunk() -> None:
    """Their legs are borrowed: a pelvis that rests elsewhere moves the whole body up or down."""
    standing = as_file(recording(fps=20.0), "rotation")
    for depth, wanted in ((0.12, 0.1), (0.25, 0.0)):
        array = standing.array.copy()
        array[:, 1] -= depth
        found = scored(replace(standing, array=array))
        assert found.scores["penetration"] == pytest.approx(wanted, abs=0.03)
        assert bool(found.remarks) == (wanted == 0)


def test_short_clips_have_no_jitter_rather_than_none_of_it() -> None:
    found = scored(replace(recording(3, 20.0)))
    assert found.scores["jitter"] is None and found.scores["foot_skating"] is not None


def test_a_reward_knows_how_real_motion_scores_and_what_it_was_shown(
    reward: MotionReward, dataset: MotionDataset, tmp_path: Path
) -> None:
    add_references(reward, dataset, dataset)
    save_reward(tmp_path / "reward", reward)
    again = load_motionreward(tmp_path / "reward")
    assert again.known is not None and again.known.motion_reach == reward.known.motion_reach
    held_out = HeldOut.of_reward(again.about)
    assert held_out.clips == len(dataset) and set(PHYSICS) <= set(held_out.quantiles)
    clip = Motion(dataset.motion(0).numpy(), "kinematic", dataset.fps, Path("clip.npy"))
    near = scored(clip, again)
    assert near.distances["motion"] <= 1 and not near.far("motion")
    wild = clip.array + np.random.default_rng(0).normal(0, 5, clip.array.shape).astype(np.float32)
    far = scored(replace(clip, array=wild), again)
    assert far.far("motion") and far.distances["motion"] > near.distances["motion"]
    assert 0 < near.percentiles["jitter"] < 100


def test_distance_one_is_where_held_out_clips_end() -> None:
    draws = torch.Generator().manual_seed(0)
    train, held_out = (torch.randn(600, 8, generator=draws) for _ in range(2))
    unit = torch.nn.functional.normalize
    known = Known.of_training((unit(train, dim=-1), train), (unit(held_out, dim=-1), held_out))
    assert (known.motion_distance(held_out) <= 1).float().mean() == pytest.approx(0.99, abs=0.005)
    assert known.text_distance(known.text[:1]).item() == pytest.approx(0, abs=1e-6)


def test_activity_does_not_see_padding() -> None:
    motion = torch.randn(1, 20, 5, generator=torch.Generator().manual_seed(0))
    padded = torch.cat((motion, torch.full((1, 7, 5), 9.0)), dim=1)
    torch.testing.assert_close(activity(padded, torch.tensor([20])), motion.std(1, correction=0))


def test_an_older_reward_says_whose_its_percentiles_are() -> None:
    old = HeldOut.of_reward({"quantiles": {"jitter": [0, 1], "foot_skating": [0, 1], "bone_drift": [0, 1]}})
    assert set(old.quantiles) == {"jitter", "bone_length_drift"} and "trained on" in old.whose


def test_the_linter_passes_a_walk_and_names_what_is_wrong_with_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    walk = recording(fps=20.0).array
    faults = {
        "penetration": walk - np.array([0, 0.12, 0], np.float32),
        "hovering": walk + np.array([0, 0.2, 0], np.float32),
        "swapped_sides": as_swapped(walk),
        "lying": walk[..., [0, 2, 1]],
    }
    np.save(tmp_path / "good.npy", person(60, 0.0, 0.1).numpy())
    for name, array in faults.items():
        np.save(tmp_path / f"{name}.npy", array)
    assert program.run(["score", str(tmp_path), "--preset", "lint", "--up", "y", "--json"]) == 1
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == len(faults) + 1 and "good.npy" not in err
    for name in faults:
        assert f"{name}.npy: {name}" in err
    assert all(json.loads(line)["fps"] == 20 for line in out.splitlines())


def as_swapped(joints: np.ndarray) -> np.ndarray:
    from motionrft.skeleton import SMPL22

    return joints[:, list(SMPL22.mirror_order)]


def test_old_names_of_limits_and_terms_still_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", recording(fps=20.0).array)
    call: Callable[[list[str]], int] = program.run
    words = ["score", str(tmp_path / "a.npy"), "--terms", "ground_penetration", "--json"]
    assert call([*words, "--fail-over", "ground_penetration=0.02"]) == 0
    assert list(json.loads(capfd.readouterr().out)["scores"]) == ["penetration"]
