"""ACMDM: a plain autoencoder over joint positions, and its latents whitened channel by channel (Meng et al. 2025)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data.motions import Motions
from motionrft.generators.acmdm import Acmdm
from motionrft.lengths import length_mask
from motionrft.physics import physics_measures
from motionrft.pretraining.first_stage import FirstStageSettings, LatentStage
from motionrft.pretraining.states import stack_padded
from motionrft.training.distribution import ALONE, Distribution


@dataclass(frozen=True)
class JointLatents:
    """Latents (C, L, J) of N clips, not whitened."""

    generator: Acmdm
    latents: list[Tensor]  # (C, L, J) each
    lengths: Tensor  # (N,)

    def draw(self, items: Tensor, draws: torch.Generator, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """(b, C, L, J), whitened, zero beyond each item's own latent frames."""
        g = self.generator
        mean, std = (x.cpu()[:, None, None] for x in (g.latent_mean, g.latent_std))  # (C, 1, 1) each
        chosen = [(self.latents[int(item)] - mean) / std for item in items]
        return stack_padded(chosen)[rows].to(g.device), self.lengths[items].to(g.device)

    def expect(self, items: Tensor) -> None:
        """Nothing to read: latents are in memory."""


class JointStage(LatentStage):
    """Smooth L1 on normalised joints. There is no posterior, so no KL and nothing is drawn."""

    def __init__(self, generator: Acmdm):
        self.generator, self.autoencoder = generator, generator.ae

    def losses(
        self,
        motion: Tensor,
        lengths: Tensor,
        draws: torch.Generator,
        settings: FirstStageSettings,
        company: Distribution,
    ) -> dict[str, Tensor]:
        joints = motion.unflatten(-1, (-1, 3))  # (b, T, J, 3)
        made = self.generator.ae.decode(self.generator.ae.encode(joints))[
            :, : joints.shape[1]
        ]  # (b, T, J, 3)
        mask = length_mask(lengths[company.rows(len(lengths))], joints.shape[1])  # (b, T)
        loss = F.smooth_l1_loss(made, joints, reduction="none")[mask].mean()
        return {"loss": loss * company.share(lengths)}

    @torch.no_grad()
    def quality(self, motions: Motions) -> dict[str, float]:
        g, training = self.generator, self.autoencoder.training
        self.autoencoder.eval()
        errors, made_jitter, real_jitter = [], [], []
        for item in range(len(motions)):
            real = motions.motion(item)[None].to(g.device)  # (1, T, 3 J)
            lengths = torch.tensor([real.shape[1]], device=g.device)
            made, real = (
                x.unflatten(-1, (-1, 3)) for x in (g.decode(g.encode(real, lengths), lengths), real)
            )
            errors.append((made - real).norm(dim=-1).mean())
            made_jitter.append(physics_measures(made, lengths, motions.fps, ("jitter",))["jitter"])
            real_jitter.append(physics_measures(real, lengths, motions.fps, ("jitter",))["jitter"])
        self.autoencoder.train(training)
        ratio = torch.cat(made_jitter).mean() / torch.cat(real_jitter).mean()
        return {"error_mm": 1000 * torch.stack(errors).mean().item(), "jitter_ratio": ratio.item()}

    @torch.no_grad()
    def latents(
        self, motions: Motions, mirrored: bool = False, company: Distribution = ALONE
    ) -> JointLatents:
        g = self.generator

        def encoded(item: int) -> Tensor:
            # One clip at a time: the last latent frame of a padded clip would see the padding.
            clip = motions.motion(item, mirrored).to(g.device)  # (T, 3 J)
            joints = (clip.unflatten(-1, (-1, 3)) - g.mean) / g.std  # (T, J, 3)
            return g.ae.encode(joints[None])[0].cpu()  # (C, L, J)

        return JointLatents(g, company.collected(len(motions), encoded), motions.lengths)

    def whiten(self, latents: JointLatents) -> None:
        """Mean and standard deviation (C,) over all latent frames and joints of all clips."""
        values = torch.cat([latent.flatten(1) for latent in latents.latents], dim=1)  # (C, L J of all)
        self.generator.latent_mean.copy_(values.mean(1))
        self.generator.latent_std.copy_(values.std(1))
