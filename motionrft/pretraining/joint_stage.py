"""ACMDM: a plain autoencoder over joint positions, and its latents whitened channel by channel (Meng et al. 2025)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data.motions import Motions
from motionrft.generators.acmdm import Acmdm
from motionrft.lengths import length_mask
from motionrft.moving import moved
from motionrft.physics import physics_measures
from motionrft.pretraining.first_stage import FirstStageSettings, LatentStage
from motionrft.pretraining.row_store import Encoder, Rows, RowStore, moments
from motionrft.pretraining.states import stack_padded
from motionrft.training.distribution import Distribution

_CLIPS_AT_ONCE = 16


@dataclass(frozen=True)
class JointLatents:
    """Latents of N clips. rows: (C, L, J) of each, not whitened; lengths: (N,) frames."""

    generator: Acmdm
    rows: Rows
    lengths: Tensor

    def draw(self, items: Tensor, draws: torch.Generator, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """(b, C, L, J), whitened, zero beyond each item's own latent frames."""
        g = self.generator
        own = [self.latent(item) for item in items[rows].tolist()]  # (C, L, J) each
        channels, _, joints = own[0].shape
        frames = self.rows.sizes[items] // (channels * joints)  # (B,) of latents
        latent = moved(stack_padded(own, (channels, int(frames.max()), joints)), g.device)  # (b, C, L, J)
        mask = moved(length_mask(frames[rows], latent.shape[2])[:, None, :, None], g.device)  # (b, 1, L, 1)
        # On the device: asked for its statistics, it would be waited for.
        whitened = (latent - g.latent_mean[:, None, None]) / g.latent_std[:, None, None]
        return whitened.where(mask, whitened.new_zeros(())), moved(self.lengths[items], g.device)

    def latent(self, item: int) -> Tensor:
        """(C, L, J) of a clip."""
        return self.rows[item].view(len(self.generator.latent_mean), -1, self.generator.joints)

    def expect(self, items: Tensor) -> None:
        self.rows.expect(items.tolist())


class JointStage(LatentStage):
    """Smooth L1 on normalised joints. There is no posterior, so no KL and nothing is drawn."""

    def __init__(self, generator: Acmdm):
        self.generator, self.autoencoder = generator, generator.ae

    def keep_encoder(self) -> None:
        self.generator.ae.encoder.requires_grad_(False)

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
    def latents(self, motions: Motions, store: RowStore, mirrored: bool = False) -> JointLatents:
        g = self.generator

        def encoded(item: int) -> Tensor:
            # One clip at a time: the last latent frame of a padded clip would see the padding.
            clip = motions.motion(item, mirrored).to(g.device)  # (T, 3 J)
            joints = (clip.unflatten(-1, (-1, 3)) - g.mean) / g.std  # (T, J, 3)
            return g.ae.encode(joints[None])[0].cpu()  # (C, L, J)

        def all_encoded(items: range) -> list[Tensor]:
            return [encoded(item) for item in items]

        encoder = Encoder(g.ae, g.mean, g.std)
        rows = store.rows(motions, mirrored, encoder, all_encoded, _CLIPS_AT_ONCE)
        return JointLatents(g, rows, motions.lengths)

    def whiten(self, latents: JointLatents) -> None:
        """Mean and standard deviation (C,) over all latent frames and joints of all clips."""
        channels = len(self.generator.latent_mean)
        blocks = (torch.cat([row.view(channels, -1).T for row in block]) for block in latents.rows.blocks())
        mean, variance = moments(blocks)  # (C,) each
        self.generator.latent_mean.copy_(mean)
        self.generator.latent_std.copy_(variance.sqrt())
