"""Skeletons of other software, found by name or by their tree; axes, units and rates; reference poses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files.motions import read_motions
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion
from tests.files.skeletons import CONVENTIONS, TURNS, Names, bvh_text, fingers_and_face, take

INCH, CMU_UNIT = 0.0254, 0.0254 / 0.45


def read(tmp_path: Path, text: str, **options: object) -> Motion:
    (tmp_path / "a.bvh").write_text(text)
    (motion,) = read_motions(tmp_path / "a.bvh", options=ReadingOptions(**options))  # type: ignore[arg-type]
    return motion


def error_mm(motion: Motion, joints: np.ndarray) -> float:
    return float(np.linalg.norm(motion.array - joints, axis=-1).max() * 1000)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_convention_is_recognised_to_a_tenth_of_a_millimetre(tmp_path: Path, name: str) -> None:
    for names in (CONVENTIONS[name], replace(CONVENTIONS[name], extra=fingers_and_face())):
        motion = read(tmp_path, bvh_text(names, take()))
        assert error_mm(motion, take().joints) < 0.1
    assert not any("guessed" in warning for warning in motion.warnings)


@pytest.mark.parametrize("up", TURNS)
@pytest.mark.parametrize("unit", [1.0, 0.01, 0.001, INCH, CMU_UNIT])
def test_axis_and_unit_are_told_by_the_body_and_said(tmp_path: Path, up: str, unit: float) -> None:
    motion = read(tmp_path, bvh_text(CONVENTIONS["mixamo"], take(), up=up, unit=unit))
    assert error_mm(motion, take().joints) < 1
    assert any(f"{up.upper()} up" in warning for warning in motion.warnings) == (up != "y")


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0, 120.0])
def test_any_rate_is_resampled_on_rotations(tmp_path: Path, fps: float) -> None:
    motion = read(tmp_path, bvh_text(CONVENTIONS["lafan1"], take(int(2 * fps), fps), fps=fps), fps=20.0)
    truth = take(40, 20.0).joints
    assert motion.fps == 20 and abs(len(motion) - 40) <= 1
    assert np.linalg.norm(motion.array[:38] - truth[:38], axis=-1).mean() < 2e-3


def test_a_child_in_centimetres_is_not_an_adult_in_inches(tmp_path: Path) -> None:
    small = take(size=0.62)
    motion = read(tmp_path, bvh_text(CONVENTIONS["mixamo"], small, size=0.62))
    assert error_mm(motion, small.joints) < 1


def test_a_size_that_fits_two_units_is_asked_for(tmp_path: Path) -> None:
    toddler = take(size=0.5)
    text = bvh_text(CONVENTIONS["mixamo"], toddler, size=0.5)
    with pytest.raises(UserError, match=r"unit is unclear: a body of .*centimetres or .*inches.*--unit"):
        read(tmp_path, text)
    assert error_mm(read(tmp_path, text, unit="centimetres"), toddler.joints) < 1


def test_a_giant_is_read_with_a_warning(tmp_path: Path) -> None:
    motion = read(tmp_path, bvh_text(CONVENTIONS["mixamo"], take(), unit=0.3))
    assert any("no unit makes it the size of a person" in warning for warning in motion.warnings)


@pytest.mark.parametrize("head", ["z", "-z"])
def test_a_body_that_lies_is_not_turned_but_warned_of(tmp_path: Path, head: str) -> None:
    """On its front or back in a file with Y up: congruent with one that stands in a file with Z up, but for the floor."""
    walk = take()
    pose = np.broadcast_to(np.eye(3), walk.local.shape).copy()
    pose[:, 0] = TURNS["z"] if head == "z" else TURNS["z"].T
    lying = type(walk)(walk.joints, pose, walk.root * 0 + np.array([0.3, 0.12, 2.0]))
    motion = read(tmp_path, bvh_text(CONVENTIONS["mixamo"], lying), t_pose="keep")
    trunk = motion.array[:, 12] - motion.array[:, 0]
    assert np.abs(trunk[:, 1]).max() < 0.01 and np.abs(motion.array[:, 0] - [0.3, 0.12, 2.0]).max() < 1e-4
    assert any("near horizontal" in warning for warning in motion.warnings)


def test_up_can_be_said(tmp_path: Path) -> None:
    text = bvh_text(CONVENTIONS["mixamo"], take(), up="z")
    kept = read(tmp_path, text, up="y")
    assert error_mm(kept, take().joints @ TURNS["z"].T) < 1
    assert any("near horizontal" in warning for warning in kept.warnings)


def anonymous(name: str, hands: bool) -> Names:
    """The convention's tree with numbers for names; sides are told by nothing but the shape."""
    names = CONVENTIONS[name]
    between = {
        joint: tuple((f"x{joint}{i}", part) for i, (_, part) in enumerate(extra))
        for joint, extra in names.between.items()
    }
    extra = fingers_and_face() if hands else {}
    return Names(tuple(f"bone{i * 7}" for i in range(22)), between, names.without, extra=extra)


@pytest.mark.parametrize("name", ["mixamo", "neuron without toes", "daz genesis 8", "amc2bvh"])
@pytest.mark.parametrize("hands", [False, True])
def test_a_skeleton_without_words_is_guessed_by_its_tree_and_said_to_be(
    tmp_path: Path, name: str, hands: bool
) -> None:
    motion = read(tmp_path, bvh_text(anonymous(name, hands), take()))
    assert any("guessed by its tree" in warning for warning in motion.warnings)
    assert error_mm(motion, take().joints) < 1


def test_what_is_no_body_is_refused_with_the_way_out(tmp_path: Path) -> None:
    text = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nJOINT b\n{\nOFFSET 0 1 0\n"
    text += "CHANNELS 3 Zrotation Xrotation Yrotation\n}\n}\nMOTION\nFrames: 2\nFrame Time: 0.05\n"
    text += "0 0 0 0 0 0\n" * 2
    with pytest.raises(UserError, match="--show-joint-map"):
        read(tmp_path, text)


def with_rows_in_front(text: str, rows: int, far: float = 0.0) -> str:
    """The file with reference rows before its motion: no rotation, the root somewhere else."""
    head, motion = text.split("Frame Time:")
    frame_time, *frames = motion.strip().split("\n")
    row = " ".join([f"{far:g}", "93", "0", *["0"] * (len(frames[0].split()) - 3)])
    count = int(head.split("Frames: ")[1])
    head = head.replace(f"Frames: {count}", f"Frames: {count + rows}")
    return head + "Frame Time: " + "\n".join([frame_time, *[row] * rows, *frames]) + "\n"


@pytest.mark.parametrize(("rows", "far"), [(1, 0.0), (3, 250.0)])
def test_a_reference_pose_in_front_is_dropped_and_said(tmp_path: Path, rows: int, far: float) -> None:
    text = with_rows_in_front(bvh_text(CONVENTIONS["mixamo"], take()), rows, far)
    motion = read(tmp_path, text)
    assert error_mm(motion, take().joints) < 1
    assert any(f"dropped {rows}" in note for note in motion.notes)
    assert len(read(tmp_path, text, t_pose="keep")) == len(take().joints) + rows


def test_a_capture_that_moves_out_of_a_t_pose_is_kept_unless_told(tmp_path: Path) -> None:
    still = take(40)
    share = np.linspace(0, 1, 40)[:, None, None]
    slow = type(still)(still.joints, still.local.copy(), still.root)
    slow.local[:, 16:20] = np.linalg.qr(
        np.eye(3) * (1 - share[:, :, None]) + share[:, :, None] * still.local[:, 16:20]
    )[0]
    slow.local[:, [1, 2, 4, 5]] = np.eye(3)
    slow.local[0] = np.eye(3)
    motion = read(tmp_path, bvh_text(CONVENTIONS["mixamo"], slow))
    assert len(motion) in (39, 40)


def test_a_file_of_two_identical_rows_is_no_reference_pose(tmp_path: Path) -> None:
    still = take(40)
    rest = type(still)(still.joints, np.broadcast_to(np.eye(3), still.local.shape), still.root)
    assert len(read(tmp_path, bvh_text(CONVENTIONS["mixamo"], rest))) == 40


def test_feet_that_end_at_the_ankle_get_toes_that_are_said_to_be_made_up(tmp_path: Path) -> None:
    text = bvh_text(CONVENTIONS["neuron without toes"], take())
    for offset in ("0.000000 -5.000000 13.000000",):
        text = text.replace(f"OFFSET {offset}", "OFFSET 0 0 0")
    motion = read(tmp_path, text)
    assert any("toes are made up" in note for note in motion.notes)
    others = [joint for joint in range(22) if joint not in (10, 11)]
    assert np.abs(motion.array[:, others] - take().joints[:, others]).max() < 1e-3
    assert np.linalg.norm(motion.array[:, [10, 11]] - take().joints[:, [10, 11]], axis=-1).max() < 0.03


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("biped", "biped"),
        ("character creator", "character creator"),
        ("vrm", "vrm"),
        ("soma", "soma"),
        ("unreal", "unreal"),
    ],
)
def test_a_skeleton_is_called_after_who_names_it_so(tmp_path: Path, name: str, called: str) -> None:
    assert f"{called} skeleton" in read(tmp_path, bvh_text(CONVENTIONS[name], take())).notes
