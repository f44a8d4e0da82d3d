"""BVH in: a correct reading, or the line number and the reason. BVH out: the same motion again."""

import math
from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.files.bvh_reading import joint_positions, parse_bvh
from motionrft.files.bvh_writer import BvhStyle, bvh_text
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.rotations import yaw_rotate
from tests.representations.people import people


def read_again(folder: Path, text: str) -> Motion:
    (folder / "a.bvh").write_text(text)
    (motion,) = read_motions(folder / "a.bvh")
    return motion


SIMPLE = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest
  {
    OFFSET 0 10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames:\t2
Frame Time: 0.0333333
1 2 3 90 0 0 0 0 0
1 2 3 0 90 0 -0 5.1e-06 0
"""


def test_a_simple_file_by_hand() -> None:
    bvh = parse_bvh(SIMPLE.encode(), "a.bvh")
    assert bvh.names == ("Hips", "Chest", "Chest End") and bvh.fps == 30
    positions, _ = joint_positions(bvh)
    # A quarter turn about Z lays +Y onto -X; about X onto +Z.
    torch.testing.assert_close(positions[0, 1:], torch.tensor([[-9.0, 2, 3], [-14, 2, 3]]).double())
    torch.testing.assert_close(
        positions[1, 1:], torch.tensor([[1.0, 2, 13], [1, 2, 18]]).double(), atol=1e-5, rtol=0
    )


def test_position_channels_replace_the_offset_of_any_joint() -> None:
    text = SIMPLE.replace("CHANNELS 3 Zr", "CHANNELS 6 Xposition Yposition Zposition Zr")
    text = text.replace("1 2 3 90 0 0 0 0 0", "1 2 3 0 0 0 0 11 0 0 0 0")
    text = text.replace("0 90 0 -0 5.1e-06 0", "0 0 0 0 12 0 0 0 0")
    positions, _ = joint_positions(parse_bvh(text.encode(), "a.bvh"))
    assert positions[:, 1, 1].tolist() == [13, 14]


@pytest.mark.parametrize(
    "text",
    [
        SIMPLE.replace("    End Site\n    {\n      OFFSET 0 5 0\n    }\n", ""),
        SIMPLE.replace("\n", "\r\n"),
        "\ufeff" + SIMPLE,
        SIMPLE.replace("ROOT Hips\n{", "ROOT Hips {").replace("JOINT Chest\n  {", "JOINT Chest {"),
        SIMPLE.replace("Zrotation", "ZROTATION"),
        SIMPLE.replace("Frame Time: 0.0333333", "Frame Time:\t3.33333e-02") + "\n\n",
        SIMPLE.replace("JOINT Chest", "JOINT My  Chest"),
    ],
    ids=["no End Site", "CRLF", "BOM", "braces on the line", "capitals", "tabs and blank lines", "spaces"],
)
def test_harmless_variants_are_read(text: str) -> None:
    positions, fps = joint_positions(parse_bvh(text.encode(), "a.bvh"))
    assert fps == 30
    torch.testing.assert_close(positions[0, 1], torch.tensor([-9.0, 2, 3]).double())


def test_utf16_with_its_mark_is_read() -> None:
    assert (
        parse_bvh(SIMPLE.encode("utf-16"), "a.bvh").values == parse_bvh(SIMPLE.encode(), "a.bvh").values
    ).all()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "CHANNELS 3 Zrotation Xrotation Yrotation",
            "CHANNELS 4 Zrotation Xrotation Yrotation",
            "line 9: CHANNELS says 4",
        ),
        (
            "CHANNELS 3 Zrotation Xrotation Yrotation",
            "CHANNELS 2 Zrotation Xrotation Yrotation",
            "line 9: CHANNELS says 2",
        ),
        ("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Zrotation Wrotation", "line 9: channel 'Wrotation'"),
        ("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Yrotation Xrotation", "line 9: channel"),
        ("OFFSET 0 10 0", "OFFSET 0 10,5 0", "line 8: '10,5' is not a number; decimals need a point"),
        ("OFFSET 0 10 0", "OFFSET 0 10", "line 9: 'CHANNELS' is not a number"),
        ("Frames:\t2", "Frames: 0", "line 17: the motion has 0 frames"),
        ("Frames:\t2", "Frames: two", "line 17: Frames is 'two'"),
        ("Frames:\t2", "Frames: 3", "line 21: the header promises 3 frames, the file holds 2"),
        ("Frames:\t2", "Frames: 1", "line 21: the header promises 1 frames, the file holds 2"),
        ("0.0333333", "0", "line 18: Frame Time 0 s"),
        ("0.0333333", "0,033", "line 18: Frame Time '0,033' is not a number; decimals"),
        ("1 2 3 90 0 0 0 0 0", "1 2 3 90 0 0 0 0", "line 19: 8 values, the hierarchy has 9 channels"),
        ("1 2 3 90 0 0 0 0 0", "1 2 3 90,5 0 0 0 0 0", "line 19: '90,5' is not a number; decimals"),
        ("1 2 3 0 90 0", "1 2 3 nan 90 0", "line 20: frame 1 holds a value that is not finite"),
        ("MOTION", "MOTIVE", "no MOTION section"),
        ("}\nMOTION", "}\nROOT Second\n{\n  OFFSET 0 0 0\n}\nMOTION", "line 16: a second ROOT"),
        ("}\nMOTION", "MOTION", "open brace"),
        ("HIERARCHY", "SKELETON", "line 1: expected HIERARCHY"),
        ("JOINT Chest", "JOINT Hips", "two joints are called 'Hips'"),
    ],
)
def test_faults_have_a_line_and_a_reason(old: str, new: str, says: str) -> None:
    assert old in SIMPLE
    with pytest.raises(UserError, match=says) as caught:
        parse_bvh(SIMPLE.replace(old, new).encode(), "walk.bvh")
    assert str(caught.value).startswith("walk.bvh")


@pytest.mark.parametrize(
    ("data", "says"), [(b"", "empty"), (b"<html>", "web page"), (SIMPLE[:200].encode(), "truncated")]
)
def test_what_is_no_bvh_says_so(data: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_bvh(data, "walk.bvh")


@pytest.mark.parametrize("unit", ["centimetres", "metres"])
@pytest.mark.parametrize("turn", [0.0, math.pi, 4 * math.pi], ids=["ahead", "away", "spinning"])
def test_joints_survive_the_file(tmp_path: Path, unit: str, turn: float) -> None:
    joints = people(50, 7)[0]
    angle = (
        torch.full((50, 22), turn) if turn == math.pi else torch.linspace(0, turn, 50)[:, None].expand(50, 22)
    )
    joints = yaw_rotate(angle.double(), joints) + torch.tensor([3.0, 0, -8])
    text, _ = bvh_text(joints, 20.0, BvhStyle(unit))
    again = read_again(tmp_path, text)
    assert again.notes == ("smpl skeleton", unit, "20 fps") and again.fps == 20
    torch.testing.assert_close(torch.from_numpy(again.array).double(), joints, rtol=0, atol=1e-4)
    assert text.count("position") == 3


def test_stretching_bones_survive_in_position_channels(tmp_path: Path) -> None:
    joints = people(30, 8)[0]
    joints = joints + 0.01 * torch.randn(joints.shape, generator=torch.Generator().manual_seed(0)).double()
    again = read_again(tmp_path, bvh_text(joints, 20.0, BvhStyle(positions=True))[0])
    torch.testing.assert_close(torch.from_numpy(again.array).double(), joints, rtol=0, atol=1e-4)


def test_the_rest_pose_is_an_upright_t_pose_and_every_leaf_ends() -> None:
    text, _ = bvh_text(people(10, 9)[0], 20.0, BvhStyle(rest="origin"))
    bvh = parse_bvh(text.encode(), "a.bvh")
    rest = torch.zeros(len(bvh.names), 3, dtype=torch.float64)
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            rest[joint] = rest[parent] + torch.from_numpy(bvh.offsets[joint])
    place = dict(zip(bvh.names, rest, strict=True))
    assert place["head"][1] > 40 and place["left_foot"][1] < -60
    assert place["left_wrist"][0] > 60 > -60 > place["right_wrist"][0]
    assert abs(place["left_wrist"][1] - place["left_shoulder"][1]) < 5
    assert sum(name.endswith(" End") for name in bvh.names) == 5


def test_resampling_turns_the_short_way() -> None:
    """From 170 to 190 degrees, written as -170: half-way is 180, not 0."""
    text = SIMPLE.replace("1 2 3 90 0 0", "1 2 3 170 0 0").replace("1 2 3 0 90 0", "1 2 3 -170 0 0")
    text = text.replace("-0 5.1e-06 0", "0 0 0")
    positions, _ = joint_positions(parse_bvh(text.encode(), "a.bvh"), 60)
    torch.testing.assert_close(positions[1, 1], torch.tensor([1.0, -8, 3]).double())


def test_only_joint_motions_become_bvh() -> None:
    with pytest.raises(UserError, match="22 SMPL joints"):
        bvh_text(torch.zeros(4, 21, 3), 20.0)


def test_an_offset_with_an_orientation_is_read_as_its_channels_replace_it() -> None:
    """NVIDIA's SOMA retargeter writes six numbers after OFFSET."""
    text = SIMPLE.replace("OFFSET 0 10 0", "OFFSET 0 10 0 90 0.2 -45")
    found, _ = joint_positions(parse_bvh(text.encode(), "a.bvh"))
    expected, _ = joint_positions(parse_bvh(SIMPLE.encode(), "a.bvh"))
    assert torch.equal(found, expected)
    with pytest.raises(UserError, match="line 8: OFFSET has 4 numbers"):
        parse_bvh(SIMPLE.replace("OFFSET 0 10 0", "OFFSET 0 10 0 90").encode(), "a.bvh")
