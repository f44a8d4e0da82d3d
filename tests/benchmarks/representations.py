"""What the conversions cost, against plain numpy that takes one clip at a time.

    python -m tests.benchmarks.representations

CPU seconds (all threads together) a frame, best of several rounds, on made-up people of 196 frames.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from motionrft.representations.kinematic import joints_to_kinematic, kinematic_to_joints
from tests.benchmarks import plain_kinematic
from tests.representations.people import people

FRAMES = 196


def cpu_seconds(
    plain: Callable[[], object], ours: Callable[[], object], rounds: int = 6
) -> tuple[float, float]:
    """CPU seconds of one call of each: the fastest of several rounds, taken in turns so that both meet the same load."""
    best = [float("inf"), float("inf")]
    for work in (plain, ours):
        work()
    for _ in range(rounds):
        for place, (work, repeats) in enumerate(((plain, 1), (ours, 4))):
            for _ in range(repeats):
                start = time.process_time()
                work()
                best[place] = min(best[place], time.process_time() - start)
    return best[0], best[1]


def compare(batch: int) -> list[tuple[str, float, float]]:
    """(what, plain, ours) in CPU seconds a frame, for a batch of clips."""
    joints = people(FRAMES, seed=1, batch=batch).float()
    clips = [clip.numpy() for clip in joints]
    features = joints_to_kinematic(joints)
    rows = [clip.numpy() for clip in features]
    there = cpu_seconds(
        lambda: [plain_kinematic.joints_to_kinematic(clip) for clip in clips],
        lambda: joints_to_kinematic(joints),
    )
    back = cpu_seconds(
        lambda: [plain_kinematic.kinematic_to_joints(row) for row in rows],
        lambda: kinematic_to_joints(features),
    )
    frames = batch * FRAMES
    return [
        (f"joints to 263, batch {batch}", there[0] / frames, there[1] / frames),
        (f"263 to joints, batch {batch}", back[0] / frames, back[1] / frames),
    ]


def largest_difference() -> float:
    """Between the two implementations, so that the comparison is of equals."""
    joints = people(FRAMES, seed=2).float()
    plain = plain_kinematic.joints_to_kinematic(joints[0].numpy())
    return float(np.abs(plain - joints_to_kinematic(joints)[0].numpy()).max())


def main() -> None:
    torch.set_num_threads(1)
    print(f"largest difference: {largest_difference():.1e}")
    print(f"{'':28} {'plain numpy':>12} {'ours':>12} {'times':>7}   (CPU seconds a frame)")
    for batch in (64, 1):
        for what, plain, ours in compare(batch):
            print(f"{what:28} {plain:12.2e} {ours:12.2e} {plain / ours:7.1f}")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
