"""Stage 1 of pre-training: a latent generator's autoencoder, on kinematic clips."""

from typing import Any, Protocol

import torch
from torch import Tensor

from motionrft.data.batches import BalancedBatches, pad
from motionrft.data.folder import MotionDataset
from motionrft.evaluation.metrics.physics import jitter
from motionrft.generators.autoencoder import Autoencoder, sample_posterior
from motionrft.lengths import length_mask
from motionrft.pretraining.losses import autoencoder_loss, heading_aligned_error_mm
from motionrft.representations.kinematic import kinematic_to_joints
from motionrft.representations.mirror import mirror
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics
from motionrft.training.optimiser import Optimiser, OptimiserSettings
from motionrft.training.seeds import generator_for


class AutoencoderSettings(Protocol):
    """What the trainer reads from a preset's `autoencoder` group."""

    @property
    def updates(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def kl_weight(self) -> float: ...
    @property
    def motion_weight(self) -> float: ...
    @property
    def optimiser(self) -> OptimiserSettings: ...


class AutoencoderTrainer:
    """One optimiser update a call: draw clips, mirror half of them, reconstruct from a posterior sample."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        dataset: MotionDataset,
        statistics: Statistics,
        settings: AutoencoderSettings,
        seed: int,
        mirror: bool = True,
        device: torch.device | str = "cpu",
    ):
        self.autoencoder, self.dataset, self.settings = autoencoder.train(), dataset, settings
        self.statistics, self.seed, self.mirrored, self.device = statistics.to(device), seed, mirror, device
        self.batches = BalancedBatches(dataset, settings.batch, seed)
        self.optimiser = Optimiser(autoencoder, settings.optimiser, total=settings.updates)

    def update(self, step: int) -> dict[str, Any]:
        motion, lengths = self._batch(step)
        mean, log_variance = self.autoencoder.encode(motion, lengths)
        noise = torch.randn(mean.shape, generator=generator_for(self.seed, "posterior", step)).to(self.device)
        made = self.autoencoder.decode(sample_posterior(mean, log_variance, noise), lengths)
        loss = autoencoder_loss(
            made,
            motion,
            lengths,
            (mean, log_variance),
            latent_mask(self.autoencoder, lengths, mean),
            self.statistics,
            self.settings.kl_weight,
            self.settings.motion_weight,
        )
        loss.total.backward()
        terms = {"features": loss.features, "joints": loss.joints, "motion": loss.motion, "kl": loss.kl}
        report = self.optimiser.step()
        return {
            "loss": loss.total.item(),
            **{f"loss/{name}": term.item() for name, term in terms.items()},
            **report,
        }

    def _window(self, clip: Tensor, start: float) -> Tensor:
        """At most `window` frames: short windows cost no padding, which makes training several times as fast."""
        spare = clip.shape[0] - self.settings.window
        first = int(start * (spare + 1)) if spare > 0 else 0
        return clip[first : first + self.settings.window]

    def state_dict(self) -> dict[str, Any]:
        return {"autoencoder": self.autoencoder.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.autoencoder.load_state_dict(state["autoencoder"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Normalised (B, T, 263) and lengths (B,) of a step."""
        items = self.batches[step]
        draws = generator_for(self.seed, "window", step)
        starts, flips = torch.rand(2, len(items), generator=draws).tolist()
        clips = [self._window(self.dataset.motion(int(i)), s) for i, s in zip(items, starts, strict=True)]
        if self.mirrored:
            clips = [
                mirror(clip, KINEMATIC) if flip < 0.5 else clip
                for clip, flip in zip(clips, flips, strict=True)
            ]
        motion, lengths = pad([self.statistics.normalise(clip) for clip in clips])
        return motion.to(self.device), lengths.to(self.device)


def latent_mask(autoencoder: Autoencoder, lengths: Tensor, latent: Tensor) -> Tensor:
    """(B, tokens) bool, True where a latent token counts."""
    tokens = autoencoder.latent_lengths(lengths)
    if tokens is None:
        return torch.ones(latent.shape[:2], dtype=torch.bool, device=latent.device)
    return length_mask(tokens, latent.shape[1])


@torch.no_grad()
def reconstruction_quality(
    autoencoder: Autoencoder, dataset: MotionDataset, statistics: Statistics, batch: int = 64
) -> dict[str, float]:
    """Reconstruct every clip from its latent mean.

    Returns:
        `error_mm`: heading-aligned joint error, mean over clips; `jitter_ratio`: jitter of the reconstructions over
        jitter of the clips.
    """
    training = autoencoder.training
    autoencoder.eval()
    device = next(autoencoder.parameters()).device
    errors, made_jitter, real_jitter = [], [], []
    for start in range(0, len(dataset), batch):
        clips = [dataset.motion(item) for item in range(start, min(start + batch, len(dataset)))]
        real, lengths = (x.to(device) for x in pad(clips))
        normalised = statistics.normalise(real) * length_mask(lengths, real.shape[1])[..., None]
        made = statistics.denormalise(autoencoder.decode(autoencoder.encode(normalised, lengths)[0], lengths))
        errors.append(heading_aligned_error_mm(made, real, lengths))
        made_jitter.append(jitter(kinematic_to_joints(made), lengths, dataset.fps))
        real_jitter.append(jitter(kinematic_to_joints(real), lengths, dataset.fps))
    autoencoder.train(training)
    ratio = torch.cat(made_jitter).mean() / torch.cat(real_jitter).mean()
    return {"error_mm": torch.cat(errors).mean().item(), "jitter_ratio": ratio.item()}
