"""Arrays as other programs save them: axes in other orders, more joints, several arrays, pickles, SMPL parameters."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.files.joint_maps import joint_map_of
from motionrft.files.motions import read_motions
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion
from motionrft.representations.convert import convert
from motionrft.representations.rotation import default_rest_joints, rotation_matrices
from motionrft.skeleton import SMPL22
from tests.abroad.layouts import KIT_ML, moving
from tests.files.skeletons import TURNS, take
from tests.representations.people import people, rotations

JOINTS = take().joints.astype(np.float32)  # (60, 22, 3)


def read(path: Path, **options: object) -> list[Motion]:
    return read_motions(path, options=ReadingOptions(**options))  # type: ignore[arg-type]


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def padded(joints: int) -> np.ndarray:
    extra = np.repeat(JOINTS[:, 21:], joints - 22, axis=1) + 0.05
    return np.concatenate((JOINTS, extra), axis=1)


@pytest.mark.parametrize("joints", [24, 52, 55])
def test_bodies_with_hands_and_faces_give_their_first_22_joints(tmp_path: Path, joints: int) -> None:
    (motion,) = read(saved(tmp_path / "a.npy", padded(joints)))
    assert np.array_equal(motion.array, JOINTS)
    assert any(f"first 22 of {joints}" in note for note in motion.notes)


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 0, 1)], ids=["J 3 T", "3 T J"])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("joints", [22, 24])
def test_other_orders_of_axes_are_known(
    tmp_path: Path, axes: tuple[int, ...], batch: int | None, joints: int
) -> None:
    array = (JOINTS if joints == 22 else padded(joints)).transpose(axes)
    found = read(saved(tmp_path / "a.npy", array if batch is None else np.stack([array] * batch)))
    assert len(found) == (batch or 1)
    for motion in found:
        assert np.array_equal(motion.array, JOINTS)


@pytest.mark.parametrize("up", ["z", "x", "-y"])
def test_joints_in_other_axes_are_turned_and_said(tmp_path: Path, up: str) -> None:
    path = saved(tmp_path / "a.npy", JOINTS @ TURNS[up].T)
    (motion,) = read(path)
    assert np.abs(motion.array - JOINTS).max() < 1e-5
    assert any(f"{up.upper()} up" in warning for warning in motion.warnings)
    (asked,) = read(path, up=up)
    assert np.array_equal(asked.array, motion.array)


@pytest.mark.parametrize(("unit", "scale"), [("millimetres", 1000.0), ("centimetres", 100.0)])
def test_joints_in_other_units_are_read_in_metres_and_said(tmp_path: Path, unit: str, scale: float) -> None:
    (motion,) = read(saved(tmp_path / "a.npy", JOINTS * scale))
    assert np.abs(motion.array - JOINTS).max() < 1e-4
    assert any(f"read in {unit}" in warning for warning in motion.warnings)


@pytest.mark.parametrize("unit, kept", [("m", True), ("mm", True), ("cm", False), ("z", False)])
def test_kits_21_joints_stay_in_their_units_and_stand_up(tmp_path: Path, unit: str, kept: bool) -> None:
    joints = moving(KIT_ML, 3, 30, 0).numpy() / 1000
    turned = joints @ np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0))) if unit == "z" else joints
    scale = {"mm": 1000, "cm": 100}.get(unit, 1)
    (motion,) = read(saved(tmp_path / "a.npy", scale * turned))
    assert bool(motion.warnings) != kept
    np.testing.assert_allclose(motion.array, joints * (scale if kept else 1), atol=1e-3 * scale)


def test_normalised_joints_are_left_alone_and_doubted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=JOINTS.shape) * 20
    (motion,) = read(saved(tmp_path / "a.npy", noise))
    assert np.abs(motion.array - noise).max() < 1e-4 and motion.warnings


@pytest.mark.parametrize("layout", ["one", "batch", "lengths"])
def test_zeros_behind_a_motion_are_padding_and_said(tmp_path: Path, layout: str) -> None:
    held = np.concatenate((JOINTS, np.zeros((9, 22, 3), np.float32)))
    if layout == "lengths":
        np.savez(tmp_path / "a.npz", motion=np.stack([held, held]), lengths=[60, 60])
        motions = read(tmp_path / "a.npz")
    else:
        motions = read(saved(tmp_path / "a.npy", held if layout == "one" else np.stack([held, held])))
    assert [len(motion) for motion in motions] == [60] * len(motions)
    for motion in motions:
        said = "its last 9 frames are all zeros: taken for padding and left out" in motion.warnings
        assert said == (layout != "lengths")


def test_a_motion_of_zeros_alone_stays_as_it_is(tmp_path: Path) -> None:
    assert len(read(saved(tmp_path / "a.npy", np.zeros((20, 22, 3))))[0]) == 20


def test_features_cannot_be_turned(tmp_path: Path) -> None:
    features = convert(torch.from_numpy(JOINTS)[None], "joints", "kinematic")[0].numpy()
    path = saved(tmp_path / "a.npy", features)
    assert read(path, up="y") and read(path)
    with pytest.raises(UserError, match="relative to a ground"):
        read(path, up="z")


def test_one_obvious_motion_among_several_arrays_is_taken(tmp_path: Path) -> None:
    side = {"betas": np.zeros(10), "scores": np.ones((60, 4)), "mocap_frame_rate": 60.0}
    np.savez(tmp_path / "a.npz", skeleton=JOINTS, **side)
    (motion,) = read(tmp_path / "a.npz")
    assert motion.fps == 60 and np.array_equal(motion.array, JOINTS)
    np.savez(tmp_path / "b.npz", one=JOINTS, other=JOINTS)
    with pytest.raises(UserError, match="which one is the motion is unclear"):
        read(tmp_path / "b.npz")


@pytest.mark.parametrize("rate", ["fast", [20.0, 30.0], [], True, None])
def test_a_rate_that_is_none_is_refused_and_not_guessed(tmp_path: Path, rate: object) -> None:
    np.savez(tmp_path / "a.npz", motion=JOINTS, fps=np.array(rate, dtype=str if rate is None else None))
    with pytest.raises(UserError, match=r"a\.npz: fps is .*; a frame rate is one number"):
        read(tmp_path / "a.npz")


def test_a_rate_that_a_file_says_goes_before_a_given_one_which_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", motion=JOINTS, fps=60.0)
    (motion,) = read(tmp_path / "a.npz", source_fps=30.0)
    assert motion.fps == 60 and any("--source-fps 30 is not used" in warning for warning in motion.warnings)
    (motion,) = read(tmp_path / "a.npz", source_fps=60.0)
    assert not motion.warnings and "60 fps" in motion.notes


RESULTS = {
    "motion": np.stack([JOINTS.transpose(1, 2, 0)] * 2),
    "text": ["a person walks", "someone waves"],
    "lengths": np.array([40, 60]),
    "num_samples": 2,
    "num_repetitions": 1,
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("form", ["npy", "pkl"])
def test_results_of_mdm_are_read_without_running_their_pickle(
    tmp_path: Path, protocol: int, form: str
) -> None:
    path = tmp_path / f"a.{form}"
    if form == "pkl":
        path.write_bytes(pickle.dumps(RESULTS, protocol=protocol))
    else:
        body = pickle.dumps(np.array(RESULTS, dtype=object), protocol=protocol)
        head = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }"
        path.write_bytes(head.ljust(127) + b"\n" + body)
    first, second = read(path)
    assert (first.text, second.text) == ("a person walks", "someone waves")
    assert (len(first), len(second)) == (40, 60)
    assert np.array_equal(second.array, JOINTS)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize(
    "value",
    [
        {"motion": Bomb()},
        {"motion": np.array([Bomb()], dtype=object)},
        np.dtype("O").type,
        {"motion": torch.zeros(9, 263)},
        range(3),
    ],
    ids=["code", "code in an array", "a type", "a tensor", "a range"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_of_anything_else_is_refused_by_name(tmp_path: Path, value: object, protocol: int) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(UserError, match=r"a\.pkl: .*(would run code|pickle).*(refused|damaged|pickled)"):
        read(tmp_path / "a.pkl")


def test_a_pickled_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps({"motion": np.zeros((9, 263), np.float32)}, protocol=2)
    assert data.count(b"M\x07\x01") == 1  # the width 263
    (tmp_path / "a.pkl").write_bytes(data.replace(b"M\x07\x01", b"J\xff\xff\xff\x7f"))
    with pytest.raises(UserError, match="damaged pickle"):
        read(tmp_path / "a.pkl")


def test_a_pickle_that_asks_for_a_large_memory_is_refused_before_it_gets_it(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(
        b"\x80\x02}r\xff\xff\xff\x7f."
    )  # an empty dictionary at place 2147483647
    with pytest.raises(UserError, match="damaged pickle"):
        read(tmp_path / "a.pkl")


def vectors_of(rotation: torch.Tensor) -> np.ndarray:
    """(T, 22, 3) rotation vectors of (T, 135)."""
    matrices = rotation_matrices(rotation)
    angle = torch.arccos(((matrices.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))
    axis = torch.stack([matrices[..., 2, 1] - matrices[..., 1, 2], matrices[..., 0, 2] - matrices[..., 2, 0],
                        matrices[..., 1, 0] - matrices[..., 0, 1]], -1)  # fmt: skip
    return (torch.nn.functional.normalize(axis, dim=-1) * angle[..., None]).numpy()


def amass(up: str, frames: int = 40) -> dict[str, np.ndarray]:
    """Root and body of a made-up person in AMASS's manner, turned into a world with another axis up."""
    rotation = rotations(frames, 3)[0]
    pelvis = default_rest_joints()[0].numpy()
    turn = TURNS[up]
    vectors = vectors_of(rotation)
    root = torch.from_numpy(turn) @ rotation_matrices(rotation)[:, :1]
    packed = torch.cat((rotation[:, :3], root.squeeze(1)[:, :, :2].flatten(1), rotation[:, 9:]), 1)
    vectors[:, :1] = vectors_of(packed)[:, :1]
    path = (rotation[:, :3].numpy() + pelvis) @ turn.T - pelvis
    return {"root_orient": vectors[:, 0], "pose_body": vectors[:, 1:].reshape(frames, 63), "trans": path}


LAYOUTS = {
    "smpl-h": lambda p: {"poses": np.concatenate((p["root_orient"], p["pose_body"], np.zeros((len(p["trans"]), 90))), 1),
                         "trans": p["trans"], "mocap_framerate": 120.0, "betas": np.ones(16), "gender": "neutral"},
    "smpl": lambda p: {"poses": np.concatenate((p["root_orient"], p["pose_body"], np.zeros((len(p["trans"]), 6))), 1),
                       "trans": p["trans"], "mocap_framerate": 120.0},
    "smpl-x": lambda p: {**p, "mocap_frame_rate": 120.0, "pose_hand": np.zeros((len(p["trans"]), 90)),
                         "surface_model_type": "smplx", "betas": np.zeros(16)},
    "smpl-x, poses of 165": lambda p: {
        "poses": np.concatenate((p["root_orient"], p["pose_body"], np.zeros((len(p["trans"]), 99))), 1),
        "trans": p["trans"], "mocap_frame_rate": 120.0},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("up", ["z", "y"])
def test_amass_is_read_whichever_model_and_axis_it_has(tmp_path: Path, layout: str, up: str) -> None:
    np.savez(tmp_path / "a.npz", **LAYOUTS[layout](amass(up)))
    (motion,) = read(tmp_path / "a.npz")
    assert (motion.representation, motion.fps, len(motion)) == ("rotation", 120.0, 40)
    found = convert(torch.from_numpy(motion.array)[None], "rotation", "joints")[0]
    assert (found - people(40, 3)[0]).norm(dim=-1).max() < 1e-4
    assert any("mean skeleton" in note for note in motion.notes)
    assert any("betas" in note for note in motion.notes) == (layout == "smpl-h")


def test_hymotions_npz_is_30_fps_with_y_up_and_its_root_apart(tmp_path: Path) -> None:
    parts = amass("y")
    poses = np.concatenate((np.zeros((40, 3)), parts["pose_body"], np.zeros((40, 90))), 1)
    np.savez(
        tmp_path / "a.npz",
        Rh=parts["root_orient"],
        trans=parts["trans"],
        poses=poses,
        gender=np.array(["neutral"]),
    )
    (motion,) = read(tmp_path / "a.npz")
    found = convert(torch.from_numpy(motion.array)[None], "rotation", "joints")[0]
    assert motion.fps == 30 and (found - people(40, 3)[0]).norm(dim=-1).max() < 1e-4


@pytest.mark.parametrize(
    "keys", [("global_orient", "body_pose", "transl"), ("root_orient", "pose_body", "trans")]
)
def test_pose_estimators_dictionaries_are_read(tmp_path: Path, keys: tuple[str, str, str]) -> None:
    parts = amass("y")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(dict(zip(keys, parts.values(), strict=True)), protocol=4))
    (motion,) = read(tmp_path / "a.pkl", source_fps=25.0)
    assert motion.fps == 25 and motion.representation == "rotation"


@pytest.mark.parametrize("joints", [22, 30, 34, 77])
@pytest.mark.parametrize("old", [True, False])
def test_kimodos_npz_of_every_skeleton_old_and_new(tmp_path: Path, joints: int, old: bool) -> None:
    from motionrft.representations.kimodo.skeletons import SKELETONS, posed_joints

    skeleton = SKELETONS[joints]
    rest = default_rest_joints() if skeleton.numbers is None else skeleton.rest_joints
    local = torch.eye(3, dtype=torch.float64).expand(12, joints, 3, 3)
    root = torch.stack(
        (torch.zeros(12), torch.full((12,), -float(rest[:, 1].min() - rest[0, 1])), torch.arange(12) / 30), 1
    )
    posed, world = posed_joints(local, root.double(), rest - rest[0], skeleton.parents)
    members = {
        "posed_joints": posed.numpy().astype(np.float32),
        "global_rot_mats": world.numpy(),
        "foot_contacts": np.ones((12, 4), bool),
    }
    if not old:
        members |= {
            "local_rot_mats": local.numpy(),
            "root_positions": root.numpy(),
            "smooth_root_pos": root.numpy(),
        }
    np.savez(tmp_path / "a.npz", **members)
    (motion,) = read(tmp_path / "a.npz")
    assert motion.fps == 30 and motion.array.shape == (12, 22, 3)
    assert np.abs(motion.array[:, 0] - posed[:, 0].numpy()).max() < 1e-6
    assert (motion.array[:, 15, 1] > motion.array[:, 12, 1]).all() and (
        motion.array[:, 1, 0] > motion.array[:, 2, 0]
    ).all()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("yaw", [0.0, 2.0, np.pi, -1.5])
def test_the_g1_walks_forwards_whichever_way_its_quaternion_is_written(
    tmp_path: Path, last: bool, yaw: float
) -> None:
    rows = np.zeros((30, 36))
    way = np.arange(30)[:, None] / 30 * [np.cos(yaw), np.sin(yaw)]
    rows[:, :2], rows[:, 2] = way, 0.79
    quaternion = np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
    rows[:, 3:7] = np.roll(quaternion, -1) if last else quaternion
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    (motion,) = read(tmp_path / "a.csv")
    step = motion.array[-1, 0] - motion.array[0, 0]
    across = motion.array[0, 1] - motion.array[0, 2]
    forward = np.cross(across, [0.0, 1, 0])
    assert step @ forward / np.linalg.norm(step) / np.linalg.norm(forward) > 0.999
    assert motion.fps == 30 and motion.array[0, 0, 1] == pytest.approx(0.79)


def test_other_tables_are_no_robot(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("clip_id,split\na,train\n")
    with pytest.raises(UserError, match="not a motion file"):
        read(tmp_path / "a.csv")


def test_a_joint_map_names_the_joints_of_an_array_by_number(tmp_path: Path) -> None:
    """In LAFAN1's order; without the map its limbs' bones change their length, which is said."""
    order = [0, 2, 5, 8, 11, 1, 4, 7, 10, 3, 6, 9, 12, 15, 14, 17, 19, 21, 13, 16, 18, 20]
    path = saved(tmp_path / "a.npy", JOINTS[:, order])
    assert any("another order" in warning for warning in read(path)[0].warnings)
    table = {name: order.index(joint) for joint, name in enumerate(SMPL22.names)}
    (motion,) = read(path, joint_map=joint_map_of(table, "map.yaml"))
    assert np.abs(motion.array - JOINTS).max() < 1e-5 and not motion.warnings
    (more,) = read(
        saved(tmp_path / "b.npy", padded(53)),
        joint_map=joint_map_of(dict(zip(SMPL22.names, range(22), strict=True)), "m"),
    )
    assert np.abs(more.array - JOINTS).max() < 1e-5
