"""AMASS, Kimodo and the G1's rows out: what is written is read again, in the layout that others expect."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.files.formats.base import WritingOptions
from motionrft.files.formats.smpl_parameters import amass_members
from motionrft.files.formats.table import format_named
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.physics import physics_measures
from motionrft.representations.convert import convert
from motionrft.representations.kimodo.skeletons import SOMA77, numbers, posed_joints
from motionrft.rotations import matrix_to_sixd
from tests.parity.golden import Case, cases
from tests.representations.people import people


def person(frames: int = 20, fps: float = 20.0) -> Motion:
    joints = people(frames, 3)[0].float()
    joints = joints - torch.tensor([0.0, float(joints[..., 1].min()), 0.0])
    return Motion(joints.numpy(), "joints", fps, Path("person.npy"))


def written(name: str, motion: Motion, path: Path) -> Motion:
    format_named(name).write(path, motion, WritingOptions())
    (again,) = read_motions(path)
    return again


def bones(motion: Motion, pairs: tuple[tuple[int, int], ...]) -> torch.Tensor:
    joints = torch.from_numpy(motion.array).double()
    start, end = zip(*pairs, strict=True)
    return torch.nn.functional.normalize(joints[:, list(end)] - joints[:, list(start)], dim=-1)


LIMBS = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (18, 20), (17, 19), (19, 21))


def test_amass_is_z_up_and_comes_back_as_it_went(tmp_path: Path) -> None:
    motion = person()
    again = written("amass", motion, tmp_path / "a.npz")
    wanted = convert(
        convert(torch.from_numpy(motion.array)[None], "joints", "rotation"), "rotation", "joints"
    )[0]
    found = convert(torch.from_numpy(again.array)[None], "rotation", "joints")[0]
    # Their files face +Y, which the shortest turn to Y up takes to -Z: half a turn about the vertical.
    torch.testing.assert_close(found * torch.tensor([-1.0, 1.0, -1.0]), wanted, rtol=0, atol=1e-5)
    assert again.fps == 20
    with np.load(tmp_path / "a.npz", allow_pickle=False) as members:
        assert members["trans"][:, 2].mean() > 0.3 and str(members["gender"]) == "neutral"
        shapes = {name: members[name].shape for name in ("pose_body", "pose_hand", "betas")}
        assert shapes == {"pose_body": (20, 63), "pose_hand": (20, 90), "betas": (16,)}


@pytest.mark.parametrize("case", cases("kimodo", op="kimodo_amass"))
def test_amass_is_what_kimodo_writes(case: Case) -> None:
    rest, local = case["in/rest_joints"].double(), case["in/local_rot_mats"].double()
    sixd = matrix_to_sixd(local, "interleaved").flatten(1)
    rotation = torch.cat((case["in/root_positions"].double() - rest[0], sixd), dim=-1)
    found = amass_members(rotation, case.info["fps"], rest)
    for name in ("trans", "root_orient", "pose_body"):
        np.testing.assert_allclose(found[name], case[f"out/z_up/{name}"].numpy(), atol=1e-5)
    assert set(found) == set(case.info["npz_keys"])


def test_kimodo_is_soma_at_30_fps_whose_limbs_point_as_the_persons(tmp_path: Path) -> None:
    motion = person(fps=30.0)
    again = written("kimodo", motion, tmp_path / "a.npz")
    torch.testing.assert_close(bones(again, LIMBS), bones(motion, LIMBS), rtol=0, atol=1e-4)
    assert abs(again.array[..., 1].min() - motion.array[..., 1].min()) < 0.03
    with np.load(tmp_path / "a.npz", allow_pickle=False) as members:
        local = torch.from_numpy(members["local_rot_mats"]).double()
        root = torch.from_numpy(members["root_positions"]).double()
        posed, world = posed_joints(local, root, SOMA77.rest_joints, SOMA77.parents)
        np.testing.assert_allclose(posed, members["posed_joints"], atol=1e-5)
        np.testing.assert_allclose(world, members["global_rot_mats"], atol=1e-5)
        assert members["foot_contacts"].shape == (20, 4) and members["foot_contacts"].dtype == bool
    assert all(name.endswith(".npy") for name in zipfile.ZipFile(tmp_path / "a.npz").namelist())


def test_kimodo_files_take_other_rates_to_30(tmp_path: Path) -> None:
    again = written("kimodo", person(21, 20.0), tmp_path / "a.npz")
    assert (len(again), again.fps) == (31, 30)


def test_kimodo_heading_is_zero_ahead_and_turns_to_the_left(tmp_path: Path) -> None:
    ahead = person(fps=30.0)
    for turn, wanted in ((0.0, (1.0, 0.0)), (np.pi / 2, (0.0, 1.0))):
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
        rest = np.tile(numbers_of_rest(), (3, 1, 1)).astype(np.float32) @ matrix.T
        motion = Motion(rest, "joints", 30.0, ahead.source)
        format_named("kimodo").write(tmp_path / "h.npz", motion, WritingOptions())
        heading = np.load(tmp_path / "h.npz")["global_root_heading"]
        np.testing.assert_allclose(heading, np.tile(wanted, (3, 1)), atol=0.02)


def numbers_of_rest() -> np.ndarray:
    from motionrft.representations.rotation import default_rest_joints

    return default_rest_joints().numpy()


def test_the_robot_points_its_limbs_as_the_person_within_its_ranges(tmp_path: Path) -> None:
    motion = Motion(
        np.tile(numbers_of_rest(), (4, 1, 1)).astype(np.float32), "joints", 30.0, Path("t-pose.npy")
    )
    motion.array[:, :, 1] -= motion.array[:, :, 1].min()
    again = written("g1-csv", motion, tmp_path / "a.csv")
    rows = np.loadtxt(tmp_path / "a.csv", delimiter=",")
    limits = numbers("g1.limits").numpy()
    assert rows.shape == (4, 36) and (rows[:, 7:] >= limits[:, 0] - 1e-6).all()
    assert (rows[:, 7:] <= limits[:, 1] + 1e-6).all()
    legs = LIMBS[:4]
    off = torch.rad2deg(torch.arccos((bones(again, legs) * bones(motion, legs)).sum(-1).clamp(-1, 1)))
    assert off.max() < 12
    lengths = torch.tensor([4])
    floor = physics_measures(torch.from_numpy(again.array)[None], lengths, 30.0, ("penetration", "floating"))
    assert floor["penetration"].item() < 0.02 and floor["floating"].item() < 0.02
