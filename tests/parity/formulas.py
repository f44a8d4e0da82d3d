"""Published formulas that nothing of ours needs, kept so that golden data can tell when what they stand on drifts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import zero_padding
from motionrft.representations.hymotion import CONSTANT
from motionrft.representations.kinematic import blocks, integrate_root, skeleton_of
from motionrft.representations.statistics import Statistics
from motionrft.reward.motioncritic import CEILING
from motionrft.reward.motionreward.noise import STEPS
from motionrft.rotations import quaternion_to_matrix, sixd_to_matrix, yaw_quaternion


def tmr_score(text: Tensor, motion: Tensor) -> Tensor:
    """(A, B) similarity in [0, 1]: cosine / 2 + 0.5, rows texts."""
    return F.normalize(text, dim=-1) @ F.normalize(motion, dim=-1).T / 2 + 0.5


def clipped_mean(scores: Tensor, ceiling: float = CEILING) -> Tensor:
    """The published batch score: the mean of the scores up to the ceiling, the ceiling where there is none."""
    if len(scores) == 1:
        return scores[0]
    low = scores <= ceiling
    return torch.where(low.any(), (scores * low).sum() / low.sum().clamp(min=1), scores.new_tensor(ceiling))


def spm_timestep_weights(steps: int = STEPS, last: int = 500) -> Tensor:
    """EasyTune's SPM: uniform on 0 to `last`, both included, whatever maximum is asked for; (steps,)."""
    weights = torch.zeros(steps)
    weights[: last + 1] = 1.0 / (last + 1)
    return weights


def kinematic_rotations_to_joints(
    features: Tensor, lengths: Tensor | None = None, target_offsets: Tensor | None = None
) -> Tensor:
    """Joints by forward kinematics of the 6D block on the target skeleton, (B, T, J, 3).

    On data it agrees with `kinematic_to_joints`; on generated features the two differ, and the position block is the
    one everyone uses.
    """
    skeleton = skeleton_of(features.shape[-1])
    offsets = (skeleton.target_offsets if target_offsets is None else target_offsets).to(features)
    angle, root = integrate_root(features)
    sixd = features[..., blocks(skeleton)["rotations"]].unflatten(-1, (-1, 6))
    local = sixd_to_matrix(sixd, "columns")
    world = [quaternion_to_matrix(yaw_quaternion(angle))]
    for joint, before in enumerate(skeleton.chain_parents[1:]):
        world.append(world[before] @ local[:, :, joint])
    places = [root]
    for joint, parent in enumerate(skeleton.parents[1:], start=1):
        places.append(places[parent] + world[joint] @ offsets[joint])
    joints = torch.stack(places, dim=2)
    return joints if lengths is None else zero_padding(joints, lengths)


def normalise_hymotion(motion: Tensor, statistics: Statistics) -> Tensor:
    """(x - mean) / std; values that never change (std < 1e-3) become zero."""
    std = statistics.std.to(motion)
    constant = std < CONSTANT
    scaled = (motion - statistics.mean.to(motion)) / torch.where(constant, torch.ones_like(std), std)
    return torch.where(constant, torch.zeros_like(scaled), scaled)


def denormalise_hymotion(latent: Tensor, statistics: Statistics) -> Tensor:
    """z std + mean, where std < 1e-3 counts as zero."""
    std = statistics.std.to(latent)
    return latent * torch.where(std < CONSTANT, torch.zeros_like(std), std) + statistics.mean.to(latent)
