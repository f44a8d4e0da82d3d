"""Arms of one motion over the body of another."""

import pytest
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.representations.together import meanwhile
from motionrft.rotations import yaw_rotate
from tests.representations.people import people

ARMS = [13, 14, 16, 17, 18, 19, 20, 21]
BODY = [joint for joint in range(22) if joint not in ARMS]


def gesture(frames: int) -> Tensor:
    """Somebody who stands and lifts the right wrist by half a metre."""
    stand = people(1, 4)[0].expand(frames, -1, -1).clone()
    stand[:, 21, 1] += torch.linspace(0, 0.5, frames)
    return stand


def test_the_body_stays_and_the_arms_come_from_the_other() -> None:
    walk, arms = people(60, 1)[0], gesture(40)
    both = meanwhile(walk, arms)
    torch.testing.assert_close(both[:, BODY], walk[:, BODY])
    torch.testing.assert_close(both[40:], walk[40:])
    hung = both[20, 21] - both[20, 9]
    torch.testing.assert_close(hung[1], (arms[20, 21] - arms[20, 9])[1])


def test_where_and_which_way_the_gesture_was_recorded_does_not_matter() -> None:
    walk, arms = people(60, 1)[0], gesture(40)
    turned = yaw_rotate(torch.tensor(2.0, dtype=arms.dtype), arms) + arms.new_tensor([3.0, 0.0, 1.0])
    torch.testing.assert_close(meanwhile(walk, turned), meanwhile(walk, arms), atol=1e-5, rtol=0)


def test_arms_do_not_stretch_while_they_fade_in() -> None:
    walk, arms = people(60, 1)[0], people(1, 1)[0].expand(40, -1, -1)
    both = meanwhile(walk, arms)
    forearm = (both[:, 21] - both[:, 19]).norm(dim=-1)
    torch.testing.assert_close(forearm, forearm[:1].expand(60), atol=1e-4, rtol=0)


def test_a_motion_of_the_whole_body_is_no_gesture() -> None:
    sinks = gesture(40)
    sinks[20:, :, 1] -= 0.4
    with pytest.raises(UserError, match="whole body"):
        meanwhile(people(60, 1)[0], sinks)


def test_too_short_a_gesture_and_another_skeleton_are_refused() -> None:
    with pytest.raises(UserError, match="more than 16"):
        meanwhile(people(60, 1)[0], gesture(16))
    with pytest.raises(UserError, match="different skeletons"):
        meanwhile(people(60, 1)[0], gesture(40)[:, :21])
