"""Latents of a data set, encoded once: what the denoiser is trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.folder import MotionDataset
from motionrft.generators.autoencoder import sample_posterior
from motionrft.generators.mld import Mld
from motionrft.lengths import length_mask
from motionrft.pretraining.autoencoder import latent_mask
from motionrft.representations.mirror import mirror
from motionrft.representations.names import KINEMATIC


@dataclass(frozen=True)
class Latents:
    """Posteriors of N clips: `mean` and `log_variance` hold one (tokens, d_z) tensor a clip, not whitened."""

    mean: list[Tensor]
    log_variance: list[Tensor]

    def draw(self, items: Tensor, generator: torch.Generator) -> Tensor:
        """(B, tokens, d_z) posterior samples, zero-padded to the longest."""
        mean, _ = pad([self.mean[int(item)] for item in items])
        log_variance, _ = pad([self.log_variance[int(item)] for item in items])
        return sample_posterior(mean, log_variance, torch.randn(mean.shape, generator=generator))


@torch.no_grad()
def encode_dataset(
    generator: Mld, dataset: MotionDataset, mirrored: bool = False, batch: int = 64
) -> Latents:
    """Encode every clip of a split, or its mirror image, with the generator's frozen autoencoder."""
    device = generator.mean.device
    means, log_variances = [], []
    for start in range(0, len(dataset), batch):
        clips = [dataset.motion(item) for item in range(start, min(start + batch, len(dataset)))]
        motion, lengths = (
            x.to(device) for x in pad([mirror(clip, KINEMATIC) for clip in clips] if mirrored else clips)
        )
        valid = length_mask(lengths, motion.shape[1])[..., None]
        mean, log_variance = generator.vae.encode((motion - generator.mean) / generator.std * valid, lengths)
        counts = latent_mask(generator.vae, lengths, mean).sum(1).tolist()
        means += [row[:count].cpu() for row, count in zip(mean, counts, strict=True)]
        log_variances += [row[:count].cpu() for row, count in zip(log_variance, counts, strict=True)]
    return Latents(means, log_variances)


def whitening(latents: Latents) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d_z,) of posterior samples, over all valid tokens of all clips."""
    mean = torch.cat(latents.mean)
    variance = mean.var(0) + torch.cat(latents.log_variance).exp().mean(0)
    return mean.mean(0), variance.sqrt()
