"""Rest joints that nobody gave, from a generator's own motion: SMPL-X' come with the body model, and not with us.

A motion's positions and its rotations say the same pose twice, so between them they say the bones: each is the
difference of two positions, turned back by the rotation of the joint that it hangs on. Over all frames the mean of those
is the least-squares answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.representations.kimodo.features import KimodoFeatures, skeleton_of_features
from motionrft.representations.kimodo.skeletons import picked

if TYPE_CHECKING:
    from motionrft.generators.kimodo import Kimodo

_MOTIONS, _SECONDS, _STEPS = 2, 2.0, 20
"""What is sampled for it, without a text: enough that the bones of trained weights have settled within millimetres."""


def bones_of(values: Tensor, lengths: Tensor) -> tuple[Tensor, float]:
    """Rest joints (J, 3), pelvis at the origin, of features (B, T, 12 J + 9), and metres by which frames differ (std).

    Args:
        lengths: (B,) valid frames.
    """
    skeleton, features = skeleton_of_features(values.shape[-1]), KimodoFeatures(values.double())
    parents = skeleton.parents[1:]
    above = picked(features.rotations, parents, -3)  # (B, T, J - 1, 3, 3)
    bones = features.positions[..., 1:, :] - picked(features.positions, parents, -2)
    turned = (above.transpose(-1, -2) @ bones[..., None]).squeeze(-1)
    turned = turned[length_mask(lengths, values.shape[1])]  # (N, J - 1, 3)
    rest = [torch.zeros(3, dtype=torch.float64, device=values.device)]
    for parent, bone in zip(parents, turned.mean(0), strict=True):
        rest.append(rest[parent] + bone)
    spread = (turned - turned.mean(0)).square().sum(-1).mean().sqrt()
    return torch.stack(rest).float(), float(spread)


@torch.no_grad()
def solved_rest(generator: Kimodo) -> tuple[Tensor, float]:
    """`bones_of` a little motion that the generator makes without a text: 20 passes, a moment beside any tuning."""
    lengths = generator.frames(torch.full((_MOTIONS,), _SECONDS))
    condition = generator.encode_text([""] * _MOTIONS)
    settings = generator.sampling(steps=min(_STEPS, generator.config.train_times), guidance=1)
    process = generator.process_with(settings)
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(generator.noise_shape(lengths), generator=draws).to(generator.device)
    lengths = lengths.to(generator.device)
    for place in range(process.steps):
        x = process.step(
            generator.predict(x, process.timesteps[place], condition, lengths, 1.0), x, place
        ).sample
    return bones_of(generator.statistics.denormalise(x), lengths)
