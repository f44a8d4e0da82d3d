"""The graph of conversions: every pair, batched and alone, mirrored, resampled."""

import itertools

import pytest
import torch

from motionrft.errors import UserError
from motionrft.representations.convert import EDGES, convert, converted_lengths, losses, route
from motionrft.representations.mirror import mirror
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KINEMATIC,
    REPRESENTATIONS,
    ROTATION,
    guess_representation,
    representation_name,
)
from motionrft.representations.resample import resample
from tests.representations.people import people, rotations

PAIRS = list(itertools.product(REPRESENTATIONS, repeat=2))


def example(representation: str, frames: int, seed: int) -> torch.Tensor:
    return convert(rotations(frames, seed), ROTATION, representation)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_pair_converts_batched_as_alone(source: str, target: str) -> None:
    short, long = example(source, 12, 1), example(source, 20, 2)
    batch = torch.full((2, *long.shape[1:]), 3.0, dtype=torch.float64)
    batch[0, : short.shape[1]], batch[1] = short[0], long[0]
    lengths = torch.tensor([short.shape[1], long.shape[1]])
    together = convert(batch, source, target, lengths)
    after = converted_lengths(lengths, source, target)
    for item, motion in enumerate((short, long)):
        alone = convert(motion, source, target)
        assert alone.shape[1] == after[item]
        torch.testing.assert_close(together[item, : after[item]], alone[0], rtol=0, atol=1e-9)
        assert source == target or not together[item, after[item] :].any()


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_mirroring_twice_is_the_identity(representation: str) -> None:
    motion = example(representation, 15, 3)
    assert torch.equal(mirror(mirror(motion, representation), representation), motion)


@pytest.mark.parametrize("representation", [ROTATION, HYMOTION, FLOWMDM])
def test_mirrored_motion_has_mirrored_joints(representation: str) -> None:
    """Up to the millimetres by which the sides of the default skeleton differ."""
    motion = example(representation, 15, 3)
    of_mirrored = convert(mirror(motion, representation), representation, JOINTS)
    torch.testing.assert_close(
        of_mirrored, mirror(convert(motion, representation, JOINTS), JOINTS), rtol=0, atol=0.03
    )


def test_exact_pairs_come_back() -> None:
    rotation = rotations(10, 4)
    torch.testing.assert_close(convert(convert(rotation, "135", "201"), "201", "135"), rotation)
    back = convert(convert(rotation, ROTATION, FLOWMDM), FLOWMDM, ROTATION)
    start = rotation[:, :1, 0:3:2] - back[:, :1, 0:3:2]
    back[..., 0:3:2] += start
    torch.testing.assert_close(back, rotation)


def test_flat_joints_are_joints() -> None:
    joints = people(10, 5)
    torch.testing.assert_close(convert(joints.flatten(2), "66", "263"), convert(joints, JOINTS, KINEMATIC))


def test_routes_are_shortest_and_losses_are_named() -> None:
    assert route("263", "135") == [(KINEMATIC, JOINTS), (JOINTS, ROTATION)]
    assert route(JOINTS, JOINTS) == []
    assert losses(HYMOTION, ROTATION) == []
    assert "twist" in losses(JOINTS, ROTATION)[0]
    assert all(edge.apply is not None for edge in EDGES.values())


def test_gradients_flow_from_201_to_joints() -> None:
    motion = example(HYMOTION, 5, 6).clone().requires_grad_()
    convert(motion, HYMOTION, JOINTS).square().sum().backward()
    assert motion.grad is not None
    assert motion.grad[..., :135].abs().sum() > 0
    assert not motion.grad[..., 135:].any()


def test_names() -> None:
    assert representation_name("22x3") == JOINTS
    assert guess_representation((4, 50, 263)) == KINEMATIC
    assert guess_representation((50, 22, 3)) == JOINTS
    assert guess_representation((50, 260)) is None
    with pytest.raises(UserError, match="Legal: kinematic"):
        representation_name("264")


def test_rotations_of_kit_are_refused() -> None:
    with pytest.raises(UserError, match="22 SMPL joints"):
        convert(torch.zeros(1, 4, 21, 3), JOINTS, ROTATION)


@pytest.mark.parametrize("representation", [JOINTS, ROTATION, HYMOTION])
def test_resampling_thirty_to_twenty_keeps_every_other_pair(representation: str) -> None:
    """Frame 2k at 20 fps is frame 3k at 30 fps, exactly."""
    motion = example(representation, 31, 7)[0]
    slower = resample(motion, representation, 30, 20)
    assert len(slower) == 21
    torch.testing.assert_close(slower[::2], motion[::3], rtol=0, atol=1e-9)


def test_resampled_rotations_keep_their_bones() -> None:
    rotation = resample(rotations(31, 8, sway=1.0)[0], ROTATION, 30, 23)
    joints = convert(rotation[None], ROTATION, JOINTS)[0]
    knees = (joints[:, 4] - joints[:, 1]).norm(dim=-1)
    torch.testing.assert_close(knees, knees[:1].expand_as(knees))
