"""MLD, MLD++ and the built-in generator: a variational autoencoder over kinematic features (Chen et al. 2023)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.data.batches import pad
from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.generators.autoencoder import Autoencoder, sample_posterior
from motionrft.generators.frames import from_motion
from motionrft.generators.mld import Mld
from motionrft.lengths import length_mask
from motionrft.moving import moved
from motionrft.physics import physics_measures
from motionrft.pretraining.first_stage import FirstStageSettings, LatentStage
from motionrft.pretraining.losses import Shares, autoencoder_loss, heading_aligned_error_mm
from motionrft.pretraining.row_store import Encoder, Rows, RowStore, moments
from motionrft.representations.kinematic import kinematic_to_joints
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import Distribution

_CLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class PosteriorLatents:
    """Posteriors of N clips. rows: mean and log variance (2, tokens, d_z) of each, not whitened; lengths: (N,) frames."""

    generator: Mld
    rows: Rows
    lengths: Tensor

    @property
    def width(self) -> int:
        """d_z"""
        return len(self.generator.latent_mean)

    def draw(self, items: Tensor, draws: torch.Generator, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """(b, tokens, d_z) posterior samples, whitened."""
        g = self.generator
        longest = int(self.rows.sizes[items].max()) // (2 * self.width)  # tokens
        own = [self.rows[item].view(2, -1, self.width) for item in items[rows].tolist()]
        mean, log_variance = (
            pad(part, longest=longest)[0] for part in zip(*own, strict=True)
        )  # (b, tokens, d_z)
        noise = torch.randn(len(items), longest, self.width, generator=draws)[rows]  # (b, tokens, d_z)
        latent = sample_posterior(mean, log_variance, noise)
        whitened = (moved(latent, g.device) - g.latent_mean) / g.latent_std
        return whitened, moved(self.lengths[items], g.device)

    def expect(self, items: Tensor) -> None:
        self.rows.expect(items.tolist())


class PosteriorStage(LatentStage):
    """Smooth L1 on features and joints, and KL: see `autoencoder_loss`."""

    def __init__(self, generator: Mld):
        if generator.representation != KINEMATIC:
            raise UserError(
                f"the autoencoder's loss is of kinematic motions; this generator makes {generator.representation}"
            )
        self.generator, self.autoencoder = generator, generator.vae

    def keep_encoder(self) -> None:
        for name in self.generator.vae.ENCODES:
            getattr(self.generator.vae, name).requires_grad_(False)

    def losses(
        self,
        motion: Tensor,
        lengths: Tensor,
        draws: torch.Generator,
        settings: FirstStageSettings,
        company: Distribution,
    ) -> dict[str, Tensor]:
        vae, rows = self.generator.vae, company.rows(len(lengths))
        own = lengths[rows]  # (b,)
        posterior = vae.encode(motion, own)  # (b, tokens, d_z) each
        noise = torch.randn(len(lengths), *posterior[0].shape[1:], generator=draws)[rows]  # (b, tokens, d_z)
        latent = sample_posterior(*posterior, noise.to(motion.device))  # (b, tokens, d_z)
        tokens = vae.latent_lengths(lengths)  # (B,)
        loss = autoencoder_loss(
            vae.decode(latent, own, motion.shape[1]),
            motion,
            own,
            posterior,
            latent_mask(vae, own, posterior[0]),
            Statistics(self.generator.mean, self.generator.std),
            settings.kl_weight,
            settings.motion_weight,
            Shares.of(company, lengths, torch.ones_like(lengths) if tokens is None else tokens),
        )
        terms = {"features": loss.features, "joints": loss.joints, "motion": loss.motion, "kl": loss.kl}
        return {"loss": loss.total, **{f"loss/{name}": term for name, term in terms.items()}}

    def quality(self, motions: Motions) -> dict[str, float]:
        statistics = Statistics(self.generator.mean, self.generator.std)
        return reconstruction_quality(self.generator.vae, motions, statistics)

    @torch.no_grad()
    def latents(self, motions: Motions, store: RowStore, mirrored: bool = False) -> PosteriorLatents:
        g = self.generator

        def encoded(items: range) -> list[Tensor]:
            motion, lengths = (x.to(g.device) for x in pad([motions.motion(i, mirrored) for i in items]))
            both = g.vae.encode(from_motion(motion, g.mean, g.std, lengths), lengths)
            counts = latent_mask(g.vae, lengths, both[0]).sum(1).tolist()
            kept = torch.stack(both, 1).cpu()  # (B, 2, tokens, d_z)
            return [row[:, :count] for row, count in zip(kept, counts, strict=True)]

        encoder = Encoder(g.vae, g.mean, g.std)
        rows = store.rows(motions, mirrored, encoder, encoded, _CLIPS_AT_ONCE)
        return PosteriorLatents(g, rows, motions.lengths)

    def whiten(self, latents: PosteriorLatents) -> None:
        """Mean and standard deviation (d_z,) of posterior samples, over all valid tokens of all clips."""
        width = latents.width
        shaped = ([row.view(2, -1, width) for row in block] for block in latents.rows.blocks())
        # (tokens, 2 d_z) of a block: means beside variances
        sides = (torch.cat([torch.cat((row[0], row[1].exp()), 1) for row in block]) for block in shaped)
        mean, variance = moments(sides)
        self.generator.latent_mean.copy_(mean[:width])
        self.generator.latent_std.copy_((variance[:width] + mean[width:]).sqrt())


def latent_mask(autoencoder: Autoencoder, lengths: Tensor, latent: Tensor) -> Tensor:
    """(B, tokens) bool, True where a latent token counts."""
    tokens = autoencoder.latent_lengths(lengths)  # (B,)
    if tokens is None:
        return torch.ones(latent.shape[:2], dtype=torch.bool, device=latent.device)
    return length_mask(tokens, latent.shape[1])


@torch.no_grad()
def reconstruction_quality(
    autoencoder: Autoencoder, clips: Motions | MotionDataset, statistics: Statistics, batch: int = 64
) -> dict[str, float]:
    """Reconstruct every clip from its latent mean.

    Returns:
        `error_mm`: heading-aligned joint error, mean over clips; `jitter_ratio`: jitter of the reconstructions over
        jitter of the clips.
    """
    training = autoencoder.training
    autoencoder.eval()
    device = next(autoencoder.parameters()).device
    errors: list[Tensor] = []
    made_jitter: list[Tensor] = []
    real_jitter: list[Tensor] = []
    for start in range(0, len(clips), batch):
        chosen = [clips.motion(item) for item in range(start, min(start + batch, len(clips)))]
        real, lengths = (x.to(device) for x in pad(chosen))
        normalised = statistics.normalise(real) * length_mask(lengths, real.shape[1])[..., None]  # (B, T, D)
        made = statistics.denormalise(autoencoder.decode(autoencoder.encode(normalised, lengths)[0], lengths))
        errors.append(heading_aligned_error_mm(made, real, lengths))
        for motion, jitters in ((made, made_jitter), (real, real_jitter)):
            joints = kinematic_to_joints(motion)  # (B, T, J, 3)
            jitters.append(physics_measures(joints, lengths, clips.fps, ("jitter",))["jitter"])
    autoencoder.train(training)
    ratio = torch.cat(made_jitter).mean() / torch.cat(real_jitter).mean()
    return {"error_mm": torch.cat(errors).mean().item(), "jitter_ratio": ratio.item()}
