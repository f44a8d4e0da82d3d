"""The VQ-VAE of a token generator: trained on windows of kinematic motions, its codebook by running means."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.generators.token_generator import TokenGenerator
from motionrft.lengths import length_mask
from motionrft.physics import physics_measures
from motionrft.pretraining.codebook import RunningCodebook, quantised
from motionrft.pretraining.first_stage import FirstStage, FirstStageSettings
from motionrft.pretraining.losses import Shares, autoencoder_loss, heading_aligned_error_mm
from motionrft.representations.kinematic import blocks, kinematic_to_joints, skeleton_of
from motionrft.representations.names import KINEMATIC
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import Distribution

_POSITIONS = 0.5
"""Published weight of the root-relative positions beside all features."""


class TokenStage(FirstStage):
    """Features and joints as other autoencoders here (`loss: joints`), or as published (`features`); and commitment."""

    def __init__(self, generator: TokenGenerator):
        if generator.representation != KINEMATIC:
            raise UserError(f"a VQ-VAE is trained on kinematic motions; {generator.family} makes others")
        self.generator, self.autoencoder = generator, generator.vq
        self.running: RunningCodebook | None = None
        self._kept: dict[str, Any] | None = None
        self.settled = False

    def keep_encoder(self) -> None:
        """Codes stay as they are too."""
        self.settled, self.autoencoder = True, self.generator.vq.decoder

    def losses(
        self,
        motion: Tensor,
        lengths: Tensor,
        draws: torch.Generator,
        settings: FirstStageSettings,
        company: Distribution,
    ) -> dict[str, Tensor]:
        vq = self.generator.vq
        motion = F.pad(motion, (0, 0, 0, -motion.shape[1] % vq.stride))  # (b, T, D)
        counts = (lengths // vq.stride).clamp_min(1)  # (B,)
        whole = torch.minimum(counts * vq.stride, lengths)
        own, shares = whole[company.rows(len(whole))], Shares.of(company, whole)
        if self.settled:
            with torch.no_grad():
                vectors = vq.quantizer.codebook[vq.encode(motion)]  # (b, N, W)
            return self._terms(vq.synthesise(vectors), motion, own, settings, shares)
        if self.running is None:
            self.running = RunningCodebook(vq.quantizer, settings.codebook)
            if self._kept is not None:
                self.running.load_state_dict(self._kept)
        mask = length_mask(counts, motion.shape[1] // vq.stride)  # (B, N)
        normal = lambda shape: torch.randn(shape, generator=draws)  # noqa: E731
        found = quantised(vq, self.running, motion, mask, normal, draws, company)
        terms = self._terms(found.made, motion, own, settings, shares)
        loss = terms.pop("loss") + settings.codebook.commit * found.commit
        return {"loss": loss, **terms, "loss/commit": found.commit, "perplexity": found.perplexity}

    def _terms(
        self, made: Tensor, motion: Tensor, lengths: Tensor, settings: FirstStageSettings, shares: Shares
    ) -> dict[str, Tensor]:
        if settings.loss == "features":
            found = feature_loss(made, motion, length_mask(lengths, motion.shape[1]))
            return {name: value * shares.frames for name, value in found.items()}
        no_posterior = motion.new_zeros(len(motion), 1, 1)
        loss = autoencoder_loss(
            made,
            motion,
            lengths,
            (no_posterior, no_posterior),
            torch.ones(len(motion), 1, dtype=torch.bool, device=motion.device),
            Statistics(self.generator.mean, self.generator.std),
            0.0,
            settings.motion_weight,
            shares,
        )
        terms = {"features": loss.features, "joints": loss.joints, "motion": loss.motion}
        return {"loss": loss.total, **{f"loss/{name}": term for name, term in terms.items()}}

    @torch.no_grad()
    def quality(self, motions: Motions) -> dict[str, float]:
        """Beside the errors `codes_used` and `perplexity`, of the codes of all clips."""
        g, training = self.generator, self.autoencoder.training
        self.autoencoder.eval()
        errors: list[Tensor] = []
        jitters: tuple[list[Tensor], list[Tensor]] = ([], [])
        uses = torch.zeros(g.vocabulary.codes)
        for item in range(len(motions)):
            clip = motions.motion(item)[None].to(g.device)  # (1, T, D)
            tokens = g.encode(clip, torch.tensor([clip.shape[1]]))
            made, lengths = g.decode(tokens)
            real = clip[:, : made.shape[1]]
            uses += torch.bincount(tokens.codes[0], minlength=len(uses))
            errors.append(heading_aligned_error_mm(made, real, lengths.to(g.device)))
            for motion, found in zip((made, real), jitters, strict=True):
                joints = kinematic_to_joints(motion)  # (1, T, J, 3)
                found.append(
                    physics_measures(joints, lengths.to(g.device), motions.fps, ("jitter",))["jitter"]
                )
        self.autoencoder.train(training)
        shares = uses / uses.sum()
        return {
            "error_mm": torch.cat(errors).mean().item(),
            "jitter_ratio": (torch.cat(jitters[0]).mean() / torch.cat(jitters[1]).mean()).item(),
            "codes_used": float((uses > 0).sum()),
            "perplexity": float(torch.exp(-(shares * (shares + 1e-12).log()).sum())),
        }

    def state_dict(self) -> dict[str, Any]:
        return {} if self.running is None else self.running.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running, self._kept = None, state or None


def feature_loss(made: Tensor, real: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Smooth L1 over all features, and again over the root-relative positions (which the paper's code calls velocity).

    Args:
        made, real: (B, T, F) kinematic, normalised. mask: (B, T) bool, frames that count.

    Returns:
        `loss`, their weighted sum as published, `loss/features` and `loss/positions`.
    """
    each = F.smooth_l1_loss(made, real, reduction="none")[mask]  # (frames, F)
    features, positions = each.mean(), each[:, blocks(skeleton_of(real.shape[-1]))["positions"]].mean()
    return {
        "loss": features + _POSITIONS * positions,
        "loss/features": features,
        "loss/positions": positions,
    }
