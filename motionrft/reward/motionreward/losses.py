"""MotionReward's stage-1 losses, with the reductions of the published code (the MotionRFT article).

Smooth L1 has beta 1. Reconstruction is averaged over the padded window too, as published; with `lengths`,
padding is left out. z_t and z_m are *sampled* latents, (B, L), rows in the same order.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.lengths import length_mask
from motionrft.reward.motionreward.gaussian import Gaussian, divergence


@dataclass(frozen=True)
class LossWeights:
    """Published weights of the terms. `alignment` multiplies the whole cross-representation loss; `order`, which is
    ours, InfoNCE inside groups of composed motions.
    """

    reconstruction: float = 1.0
    kl: float = 1e-5
    latent: float = 1e-5
    contrastive: float = 0.1
    alignment: float = 0.1
    order: float = 0.1
    alignment_latent: float = 0.1
    alignment_kl: float = 1e-5
    alignment_contrastive: float = 0.1


@dataclass(frozen=True)
class Encoded:
    """A batch of one modality: its Gaussian, and one sample z (B, L) of it."""

    gaussian: Gaussian
    z: Tensor  # (B, L)


def contrastive(
    text: Tensor, motion: Tensor, temperature: float = 0.1, blocked: Tensor | None = None
) -> Tensor:
    """Symmetric InfoNCE: the average of row-wise and column-wise cross entropy against the diagonal, ().

    Args:
        text, motion: (B, L), compared by cosine.
        blocked: (B, B) bool, pairs left out of both softmaxes (`false_negatives`); never the diagonal.
    """
    logits = F.normalize(text, dim=-1) @ F.normalize(motion, dim=-1).T / temperature  # (B, B)
    if blocked is not None:
        logits = logits.masked_fill(blocked, float("-inf"))  # (B, B)
    own = torch.arange(len(logits), device=logits.device)  # (B,)
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


def within_groups(text: Tensor, motion: Tensor, groups: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE inside each group: the right order, the right number, against the others of the same events, ().

    Args:
        text, motion: (B, L), compared by cosine.
        groups: (B,) int64; rows of -1 stand alone and do not count.
    """
    members = groups >= 0  # (B,) bool
    alone = torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    others = torch.where(members[:, None], groups[:, None] != groups, ~alone)  # (B, B) bool
    # Who stands alone is compared with itself and adds nothing; the number of those chosen would have to be waited for.
    share = len(groups) / members.sum().clamp(min=1)
    return contrastive(text, motion, temperature, others) * share


def false_negatives(sentences: Tensor, threshold: float = 0.9) -> Tensor:
    """Pairs of captions too alike to be told apart: (B, E) sentence vectors to (B, B) bool, diagonal False.

    The published threshold is on (cosine + 1) / 2: 0.9 means a cosine above 0.8.
    """
    unit = F.normalize(sentences, dim=-1)  # (B, E)
    alike = unit @ unit.T > 2.0 * threshold - 1.0  # (B, B)
    return alike & ~torch.eye(len(alike), dtype=torch.bool, device=alike.device)  # (B, B)


def reconstruction(predicted: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Smooth L1 of (B, T, ...) against the same: the window's mean, or that of the valid frames, ()."""
    if lengths is None:
        return F.smooth_l1_loss(predicted, target)
    valid = length_mask(lengths, target.shape[1])  # (B, T)
    of_frames = F.smooth_l1_loss(predicted, target, reduction="none").flatten(2).mean(2)  # (B, T)
    # Frames are not chosen: the host would wait for their number.
    return of_frames.masked_fill(~valid, 0.0).sum() / valid.sum()


RECONSTRUCTIONS = ("rec_text", "rec_motion", "rec_cross")


def reconstruction_terms(
    from_text: Tensor, from_motion: Tensor, target: Tensor, lengths: Tensor | None = None
) -> dict[str, Tensor]:
    """Both decodings (B, T, F) against the motion, and against each other (EasyTune's SPM leaves `rec_cross` out)."""
    return {
        "rec_text": reconstruction(from_text, target, lengths),
        "rec_motion": reconstruction(from_motion, target, lengths),
        "rec_cross": reconstruction(from_motion, from_text, lengths),
    }


def divergence_terms(text: Gaussian, motion: Gaussian) -> dict[str, Tensor]:
    """The four KL terms of Gaussians (B, D): each modality against the other, and each against the standard normal."""
    return {
        "kl_text_motion": divergence(text, motion),
        "kl_motion_text": divergence(motion, text),
        "kl_motion_prior": divergence(motion, motion.prior()),
        "kl_text_prior": divergence(text, text.prior()),
    }


def matching_terms(
    text: Encoded, motion: Encoded, temperature: float = 0.1, blocked: Tensor | None = None
) -> dict[str, Tensor]:
    """All terms of stage 1 that need no decoder, (): the KLs, the latent distance and InfoNCE; `blocked` is (B, B)."""
    return {
        **divergence_terms(text.gaussian, motion.gaussian),
        "latent": F.smooth_l1_loss(motion.z, text.z),
        "infonce": contrastive(text.z, motion.z, temperature, blocked),
    }


def weighted_total(terms: dict[str, Tensor], weights: LossWeights = LossWeights()) -> Tensor:
    """The stage-1 loss of the given terms, ()."""
    total = weights.latent * terms["latent"] + weights.contrastive * terms["infonce"]
    for name, value in terms.items():
        if name.startswith("kl_"):
            total = total + weights.kl * value
        elif name.startswith("rec_"):
            total = total + weights.reconstruction * value
        elif name == "order":
            total = total + weights.order * value
    return total


def alignment_terms(first: Encoded, second: Encoded, temperature: float = 0.1) -> dict[str, Tensor]:
    """How far two representations' embeddings (B, D) of the same clips lie apart.

    The article writes a Jensen-Shannon divergence, which has no closed form for Gaussians; this is the
    symmetric KL of the published code.
    """
    return {
        "latent_align": F.smooth_l1_loss(first.z, second.z),
        "kl_align": divergence(first.gaussian, second.gaussian) + divergence(second.gaussian, first.gaussian),
        "cl_align": contrastive(first.z, second.z, temperature),
    }


def alignment_pairs(representations: tuple[str, ...], pairs: str = "all") -> list[tuple[str, str]]:
    """The pairs to align: `all` as in the article, or those that the published code knows (`official`)."""
    every = list(combinations(representations, 2))
    if pairs == "all":
        return every
    return [pair for pair in every if set(pair) in ({"kinematic", "joints"}, {"kinematic", "rotation"})]


def alignment_loss(
    encoded: dict[str, Encoded],
    pairs: str = "all",
    weights: LossWeights = LossWeights(),
    temperature: float = 0.1,
) -> Tensor:
    """Cross-representation loss of one batch of clips, before `weights.alignment`, ().

    `all` is the article's expectation over pairs (Eq. 7), their mean; `official` the published code's sum, of one
    pair in its own training.
    """
    total = torch.zeros((), device=next(iter(encoded.values())).z.device)
    chosen = alignment_pairs(tuple(encoded), pairs)
    for first, second in chosen:
        terms = alignment_terms(encoded[first], encoded[second], temperature)
        total = (
            total
            + weights.alignment_latent * terms["latent_align"]
            + weights.alignment_kl * terms["kl_align"]
            + weights.alignment_contrastive * terms["cl_align"]
        )
    return total if pairs == "official" else total / max(len(chosen), 1)
