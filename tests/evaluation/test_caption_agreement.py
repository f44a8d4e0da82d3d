"""Reading the side off captions and off joints."""

import pytest
import torch

from motionrft.evaluation.caption_agreement import (
    LEFT,
    NEITHER,
    RIGHT,
    agreement,
    named_hand,
    named_turn,
    raised_hand,
    turned_side,
)


@pytest.mark.parametrize(
    ("caption", "side"),
    [
        ("An old person waves the right hand", RIGHT),
        ("someone puts the left arm up above the head with no energy left", LEFT),
        ("a person raises both hands with no energy left", NEITHER),
        ("a person walks and turns left", NEITHER),
        ("a figure lifts the right forearm as if guiding a guest", NEITHER),
    ],
)
def test_hands(caption, side):
    assert named_hand(caption) == side


@pytest.mark.parametrize(
    ("caption", "side"),
    [
        ("the person walks ahead and makes a left turn", LEFT),
        ("a person makes a right turn with no energy left", RIGHT),
        ("someone walks and then turns ninety degrees to the right with no energy left", RIGHT),
        ("a person turns around with no energy left", NEITHER),
        ("a person walks diagonally left", NEITHER),
        ("walks forward, turns left and keeps walking", LEFT),
    ],
)
def test_turns(caption, side):
    assert named_turn(caption) == side


def _standing(frames=30):
    joints = torch.zeros(1, frames, 22, 3)
    joints[..., 1] = 1.0
    joints[..., 15, 1] = 1.6
    joints[:, :, [1, 16], 0], joints[:, :, [2, 17], 0] = 0.2, -0.2
    return joints


@pytest.mark.parametrize(("wrist", "side"), [(20, LEFT), (21, RIGHT)])
def test_a_raised_wrist(wrist, side):
    joints, lengths = _standing(), torch.tensor([30])
    assert raised_hand(joints, lengths).item() == NEITHER
    joints[:, 10:20, wrist, 1] = 1.7
    assert raised_hand(joints, lengths).item() == side
    joints[:, 10:20, [20, 21], 1] = 1.7
    assert raised_hand(joints, lengths).item() == NEITHER
    joints = _standing()
    joints[:, 25:, wrist, 1] = 1.7
    assert raised_hand(joints, torch.tensor([25])).item() == NEITHER, "padding raises no hand"


def test_a_turn_to_the_left_goes_from_z_to_x():
    joints, angle = _standing(), torch.linspace(0, 1.2, 30)[None, :, None]
    x, y, z = joints.unbind(-1)
    turned = torch.stack((x * angle.cos() + z * angle.sin(), y, z * angle.cos() - x * angle.sin()), dim=-1)
    assert turned_side(turned, torch.tensor([30])).item() == LEFT
    assert turned_side(turned.flip(1), torch.tensor([30])).item() == RIGHT


def test_captions_without_a_side_do_not_count():
    assert agreement([LEFT, NEITHER, RIGHT], torch.tensor([LEFT, LEFT, LEFT])).item() == 0.5
