"""Constant bones, and what BVH and GLB hold of them, read by the letter of either format."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionrft.errors import UserError
from motionrft.files.bvh_reading import parse_bvh
from motionrft.files.bvh_writer import RESTS, BvhStyle, bvh_text
from motionrft.files.glb_writer import glb_bytes, write_glb
from motionrft.files.rigid_fit import FEET, fit_rigid
from motionrft.representations.rotation import fit_rest_joints, joints_to_rotation, rotation_to_joints
from motionrft.rotations import euler_to_quaternion, quaternion_to_matrix
from motionrft.skeleton import SMPL22
from tests.representations.people import people


def stretching(size: float = 0.01, frames: int = 30) -> torch.Tensor:
    joints = people(frames, 8)[0]
    draws = torch.Generator().manual_seed(0)
    return joints + size * torch.randn(joints.shape, generator=draws).double()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_rigid_motion_is_fitted_within_rounding(seed: int) -> None:
    joints = people(6, seed)[0]
    fitted = fit_rigid(joints)
    torch.testing.assert_close(fitted.joints(), joints, rtol=0, atol=1e-6)
    assert fitted.worst_mm < 1e-3


def test_a_stretching_one_is_fitted_better_than_by_its_mean_bones_and_its_feet_best() -> None:
    joints = stretching()
    fitted = fit_rigid(joints)
    rest = fit_rest_joints(joints[None])
    plain = (rotation_to_joints(joints_to_rotation(joints[None], rest), rest)[0] - joints).norm(dim=-1)
    assert fitted.errors.mean() < 0.7 * plain.mean()
    assert fitted.errors[:, list(FEET)].mean() < fitted.errors.mean()
    torch.testing.assert_close((fitted.joints() - joints).norm(dim=-1), fitted.errors)
    bones = (fitted.joints()[:, 1:] - fitted.joints()[:, list(SMPL22.parents[1:])]).norm(dim=-1)
    assert (bones.amax(0) - bones.amin(0)).max() < 1e-9


def posed(text: str, adds: bool) -> dict[str, np.ndarray]:
    """Joints of a BVH as programs read it whose position channels are added to the OFFSET, or replace it."""
    bvh = parse_bvh(text.encode(), "a.bvh")
    start, world, places = 0, [], []
    for joint, (parent, channels) in enumerate(zip(bvh.parents, bvh.channels, strict=True)):
        values = bvh.values[:, start : start + len(channels)]
        start += len(channels)
        move = [k for k, channel in enumerate(channels) if channel.endswith("position")]
        turn = [k for k, channel in enumerate(channels) if channel.endswith("rotation")]
        place = np.broadcast_to(bvh.offsets[joint], (len(bvh), 3))
        place = values[:, move] + (place if adds else 0) if move else place
        axes = "".join(channels[k][0] for k in turn)
        local = torch.eye(3).double().expand(len(bvh), 3, 3)
        if turn:
            local = quaternion_to_matrix(
                euler_to_quaternion(torch.from_numpy(np.radians(values[:, turn])), axes)
            )
        if parent < 0:
            places.append(place)
            world.append(local.numpy())
        else:
            places.append(places[parent] + (world[parent] @ place[..., None])[..., 0])
            world.append(world[parent] @ local.numpy())
    return dict(zip(bvh.names, places, strict=True))


@pytest.mark.parametrize("rest", ["standing", "origin", "t-pose"])
def test_programs_that_add_and_that_replace_offsets_read_one_motion(rest: str) -> None:
    joints = people(10, 7)[0]
    text, fitted = bvh_text(joints, 20.0, BvhStyle("metres", rest))
    assert fitted is not None and text.count("CHANNELS 6") == 1
    for adds in (False, True):
        read = posed(text, adds)
        for number, name in enumerate(SMPL22.names):
            np.testing.assert_allclose(read[name][-10:], joints[:, number].numpy(), atol=2e-5)


@pytest.mark.parametrize("rest", RESTS)
def test_rest_poses_stand_as_they_are_asked_to(rest: str) -> None:
    text, _ = bvh_text(people(10, 7)[0], 20.0, BvhStyle("metres", rest))
    bvh = parse_bvh(text.encode(), "a.bvh")
    places = np.zeros((len(bvh.names), 3))
    for joint, parent in enumerate(bvh.parents):
        places[joint] = bvh.offsets[joint] + (places[parent] if parent >= 0 else 0)
    place = dict(zip(bvh.names, places, strict=True))
    lowest = min(place[name][1] for name in SMPL22.names)
    assert (abs(lowest) < 1e-6) == (rest in ("standing", "pelvis"))
    assert place["head"][1] > place["pelvis"][1] > place["left_foot"][1]
    assert place["left_wrist"][0] > 0 > place["right_wrist"][0]
    assert len(bvh) == (11 if rest == "t-pose" else 10) and ("root" in place) == (rest == "standing")


def test_positions_are_channels_of_those_joints_alone_that_stretch() -> None:
    joints = people(10, 7)[0].clone()
    joints[:, [20]] += 0.02 * torch.randn(10, 1, 3, generator=torch.Generator().manual_seed(1)).double()
    text, fitted = bvh_text(joints, 20.0, BvhStyle("metres", positions=True))
    assert fitted is None and text.count("CHANNELS 6") == 2
    read = posed(text, adds=False)
    np.testing.assert_allclose(read["left_wrist"], joints[:, 20].numpy(), atol=2e-5)


def read_glb(data: bytes) -> tuple[dict, np.ndarray, np.ndarray]:
    """The document, joints (T, 22, 3) by its nodes and its animation, and mesh vertices skinned in the rest pose."""
    magic, version, length = struct.unpack_from("<III", data)
    assert (magic, version, length) == (0x46546C67, 2, len(data))
    size, kind = struct.unpack_from("<II", data, 12)
    assert kind == 0x4E4F534A and size % 4 == 0
    document = json.loads(data[20 : 20 + size])
    binary = data[28 + size :]

    def values(number: int) -> np.ndarray:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        dtype = {5126: "<f4", 5123: "<u2", 5121: "u1"}[accessor["componentType"]]
        raw = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        found = np.frombuffer(raw, dtype).reshape(accessor["count"], -1)
        if "min" in accessor:
            np.testing.assert_allclose(found.min(0), accessor["min"], atol=1e-6)
            np.testing.assert_allclose(found.max(0), accessor["max"], atol=1e-6)
        return found

    (animation,) = document["animations"]
    frames = document["accessors"][animation["samplers"][0]["input"]]["count"]
    nodes = document["nodes"][:22]
    turns = {j: torch.eye(3).expand(frames, 3, 3) for j in range(22)}
    moves = {j: np.tile(nodes[j]["translation"], (frames, 1)) for j in range(22)}
    for channel in animation["channels"]:
        found = values(animation["samplers"][channel["sampler"]]["output"])
        if channel["target"]["path"] == "translation":
            moves[channel["target"]["node"]] = found
        else:
            w_first = torch.from_numpy(found[:, [3, 0, 1, 2]].copy())
            turns[channel["target"]["node"]] = quaternion_to_matrix(w_first)
    world, places = [turns[0].numpy()], [moves[0]]
    rest = [np.array(nodes[0]["translation"])]
    for joint, parent in enumerate(SMPL22.parents[1:], start=1):
        assert joint in nodes[parent]["children"]
        places.append(places[parent] + (world[parent] @ moves[joint][..., None])[..., 0])
        world.append(world[parent] @ turns[joint].numpy())
        rest.append(rest[parent] + np.array(nodes[joint]["translation"]))
    mesh = document["meshes"][0]["primitives"][0]["attributes"]
    vertices, owners = values(mesh["POSITION"]), values(mesh["JOINTS_0"])[:, 0]
    inverse = values(document["skins"][0]["inverseBindMatrices"]).reshape(22, 4, 4).transpose(0, 2, 1)
    local = (inverse[owners] @ np.c_[vertices, np.ones(len(vertices))][..., None])[:, :3, 0]
    assert values(document["meshes"][0]["primitives"][0]["indices"]).max() < len(vertices)
    return document, np.stack(places, axis=1), local + np.stack(rest)[owners]


def test_glb_holds_the_motion_and_a_body_that_rests_where_it_was_modelled() -> None:
    joints = people(12, 5)[0]
    fitted = fit_rigid(joints)
    document, found, skinned = read_glb(glb_bytes(fitted, 20.0, "walk", "a person walks"))
    np.testing.assert_allclose(found, joints.numpy(), atol=1e-5)
    (animation,) = document["animations"]
    assert animation["name"] == "walk" and animation["extras"] == {"fps": 20.0, "text": "a person walks"}
    assert abs(skinned[:, 1].min()) < 0.1 and 1.3 < skinned[:, 1].max() < 2.2
    mesh = document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    bounds = document["accessors"][mesh]
    np.testing.assert_allclose(skinned.min(0), bounds["min"], atol=1e-5)


def test_only_joint_motions_become_bodies(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="22 SMPL joints"):
        write_glb(tmp_path / "a.glb", torch.zeros(4, 21, 3), 20.0, "a")
    assert not list(tmp_path.iterdir())
