"""The autoencoder's loss on kinematic features: blocks weighed by what they do to the pose, and the joints themselves."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.representations.joints import metres_per_unit
from motionrft.representations.kinematic import blocks, kinematic_to_joints, skeleton_of
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import Distribution

BLOCK_WEIGHTS = {
    "yaw": 6.0,
    "planar": 6.0,
    "height": 3.0,
    "positions": 2.0,
    "rotations": 0.5,
    "velocities": 0.7,
    "contacts": 0.5,
}
"""Weight of each block of features: an error in a root velocity is integrated over the clip, one in a 6D is not."""
JOINT_BETA = 0.1
"""Metres at which the joint loss turns from quadratic to linear."""


@dataclass(frozen=True)
class AutoencoderLoss:
    """The terms of one batch, each a scalar tensor; `total` is what is minimised."""

    total: Tensor
    features: Tensor
    joints: Tensor
    motion: Tensor
    kl: Tensor


@dataclass(frozen=True)
class Shares:
    """What means over this process's rows are multiplied by (`Distribution.share`): over frames, over steps from one to
    the next, over latent tokens.
    """

    frames: Tensor | float = 1.0
    steps: Tensor | float = 1.0
    tokens: Tensor | float = 1.0

    @classmethod
    def of(cls, company: Distribution, lengths: Tensor, tokens: Tensor | None = None) -> "Shares":
        """lengths, tokens: (B,) of all rows of a batch."""
        steps = company.share((lengths - 1).clamp(min=0))
        return cls(company.share(lengths), steps, 1.0 if tokens is None else company.share(tokens))


def block_weights(features: int = 263, device: torch.device | str = "cpu") -> Tensor:
    """(D,) weight of each kinematic feature, of SMPL-22 or KIT-21."""
    weights = torch.empty(features, device=device)  # (D,)
    for name, place in blocks(skeleton_of(features)).items():
        weights[place] = BLOCK_WEIGHTS[name]
    return weights


def autoencoder_loss(
    reconstruction: Tensor,
    motion: Tensor,
    lengths: Tensor,
    posterior: tuple[Tensor, Tensor],
    latent_mask: Tensor,
    statistics: Statistics,
    kl_weight: float = 2e-4,
    motion_weight: float = 10.0,
    shares: Shares = Shares(),
) -> AutoencoderLoss:
    """Smooth L1 on weighted features, joints in the world and about the root, joint displacements, and KL to N(0, I).

    Args:
        reconstruction, motion: (B, T, D) kinematic, normalised.
        posterior: mean and log-variance, (B, L, d_z); `latent_mask` (B, L) says which tokens count.
        motion_weight: weight of the displacement term (metres per frame), which keeps motions from shaking.
        shares: where these are some rows of a batch alone.
    """
    mask = length_mask(lengths, motion.shape[1])  # (B, T)
    features = F.smooth_l1_loss(reconstruction, motion, reduction="none")  # (B, T, D)
    features = (features * block_weights(motion.shape[-1], motion.device))[mask].mean() * shares.frames
    made, real = (kinematic_to_joints(statistics.denormalise(x)) for x in (reconstruction, motion))
    unit = metres_per_unit(real)[:, None, None, None]  # (B, 1, 1, 1)
    made, real = made * unit, real * unit  # (B, T, J, 3)
    world = _joint_loss(made, real, mask)
    about_root = _joint_loss(made - made[:, :, :1], real - real[:, :, :1], mask)
    joints = (about_root + 0.5 * world) * shares.frames
    displaced = F.l1_loss(_displacement(made), _displacement(real), reduction="none")[mask[:, 1:]].mean()
    displaced = displaced * shares.steps
    mean, log_variance = posterior  # (B, L, d_z) each
    kl = (0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)).sum(-1)[latent_mask].mean() * shares.tokens
    total = features + joints + motion_weight * displaced + kl_weight * kl
    return AutoencoderLoss(total, features, joints, displaced, kl)


def _joint_loss(made: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    return F.smooth_l1_loss(made, real, reduction="none", beta=JOINT_BETA)[mask].mean() / JOINT_BETA


def _displacement(joints: Tensor) -> Tensor:
    """Steps of the joints about the root, (B, T - 1, J, 3), metres per frame."""
    about_root = joints - joints[:, :, :1]  # (B, T, J, 3)
    return about_root[:, 1:] - about_root[:, :-1]  # (B, T - 1, J, 3)


def heading_aligned_error_mm(made: Tensor, real: Tensor, lengths: Tensor) -> Tensor:
    """Mean joint distance in the heading frame, millimetres, per item (B,).

    Args:
        made, real: (B, T, D) kinematic, de-normalised: root height and the root-relative positions are compared,
            so neither the path nor the heading counts.
    """
    mask, places = length_mask(lengths, real.shape[1]), blocks(skeleton_of(real.shape[-1]))  # (B, T)
    unit = metres_per_unit(kinematic_to_joints(real[:, :1]))[:, None, None]  # (B, 1, 1)
    made, real = made * unit, real * unit
    difference = (made - real)[..., places["positions"]].unflatten(-1, (-1, 3))  # (B, T, J - 1, 3)
    root = F.pad((made - real)[..., 3:4], (1, 1))[..., None, :]  # (B, T, 1, 3): the height alone
    distance = torch.cat([root, difference], dim=-2).norm(dim=-1).mean(-1)  # (B, T)
    return 1000 * (distance * mask).sum(1) / lengths  # (B,)
