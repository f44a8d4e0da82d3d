"""A codebook that follows its encoder: running means instead of gradients (van den Oord et al. 2017, appendix A.1).

Codes that are hardly used are given rows of the batch, as in T2M-GPT (Zhang et al. 2023) and MotionGPT, or at random.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.generators.motiongpt_vq import Codebook, MotionVq
from motionrft.training.distribution import ALONE, Distribution

Normal = Callable[[tuple[int, ...]], Tensor]
"""Standard normal numbers of a shape."""
_TILE_NOISE = 0.01


class CodebookSettings(Protocol):
    """What is read from a preset's `autoencoder.codebook` group."""

    @property
    def decay(self) -> float: ...
    @property
    def dead(self) -> float: ...
    @property
    def replace(self) -> Literal["rows", "random"]: ...


class RunningCodebook:
    """Moving sums and counts of what falls on each code; they belong to a training's checkpoints, not to the model.

    Args:
        codebook: whose vectors are set.
        settings: `decay` of both; a code whose running count is below `dead` is replaced: by row k of the batch, its sum
            and count going on as they were (`rows`, as published), or by a random row, counted anew (`random`).
    """

    def __init__(self, codebook: Codebook, settings: CodebookSettings):
        self.codebook, self.settings = codebook, settings
        self.sums: Tensor | None = None  # (K, W)
        self.counts: Tensor | None = None  # (K,)

    def fill(self, rows: Tensor, normal: Normal) -> None:
        """Begin with the first K of (R, W) encoder outputs; does nothing once it has begun."""
        if self.sums is not None:
            return
        vectors = self.codebook.codebook
        vectors.copy_(self._tiled(rows, normal)[: len(vectors)])
        self.sums, self.counts = vectors.clone(), torch.ones(len(vectors), device=vectors.device)

    @torch.no_grad()
    def update(self, rows: Tensor, codes: Tensor, normal: Normal, draws: torch.Generator | None) -> None:
        """Move towards (R, W) encoder outputs and the (R,) codes that were chosen for them.

        Args:
            draws: for `random` replacements.
        """
        assert self.sums is not None and self.counts is not None, "filled before it is updated"
        chosen = F.one_hot(codes, len(self.counts)).to(rows.dtype)  # (R, K)
        keep = self.settings.decay
        self.sums = keep * self.sums + (1 - keep) * chosen.T @ rows
        self.counts = keep * self.counts + (1 - keep) * chosen.sum(0)
        used = self.counts >= self.settings.dead  # (K,)
        if self.settings.replace == "random":
            places = torch.randint(len(rows), (len(used),), generator=draws).to(rows.device)
            self.sums = torch.where(used[:, None], self.sums, rows[places])
            self.counts = torch.where(used, self.counts, 1.0)
            vectors = self.sums / self.counts[:, None]
        else:
            spare = self._tiled(rows, normal)[: len(used)]  # (K, W)
            vectors = torch.where(used[:, None], self.sums / self.counts[:, None], spare)
        self.codebook.codebook.copy_(vectors)

    def _tiled(self, rows: Tensor, normal: Normal) -> Tensor:
        """Rows (R, W), repeated with a little noise where there are fewer than codes."""
        codes, width = self.codebook.codebook.shape
        if len(rows) >= codes:
            return rows
        many = rows.repeat(-(-codes // len(rows)), 1)
        return many + _TILE_NOISE / width**0.5 * normal(tuple(many.shape)).to(rows.device)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = self.codebook.codebook.device
        self.sums, self.counts = (
            None if x is None else x.to(device) for x in (state["sums"], state["counts"])
        )


@dataclass(frozen=True)
class Quantised:
    """One training pass through a VQ-VAE.

    made: (b, T, F) reconstruction of this process's rows, straight through. latent: (B, N, W), what the encoder gave.
    codes: (B, N).
    commit: () mean squared distance of encoder outputs to their codes. perplexity: () exp of the entropy of the codes.
    """

    made: Tensor
    latent: Tensor
    codes: Tensor
    commit: Tensor
    perplexity: Tensor


def quantised(
    vq: MotionVq,
    running: RunningCodebook,
    features: Tensor,
    mask: Tensor,
    normal: Normal,
    draws: torch.Generator | None = None,
    company: Distribution = ALONE,
) -> Quantised:
    """Through the network with gradient; the codebook moves after the codes were chosen.

    Args:
        features: (b, T, F) normalised, this process's rows, T a multiple of the stride.
        mask: (B, N) bool, tokens that count, of all rows.
        company: every process sees all latents, so that the codebook is one.
    """
    own, sizes = company.rows(len(mask)), company.sizes(len(mask))
    mine = vq.latent(features)  # (b, N, W)
    latent = company.joined(mine, sizes)  # (B, N, W)
    rows = latent.detach()[mask]  # (R, W)
    running.fill(rows, normal)
    with torch.no_grad():
        codes = vq.quantizer.nearest(latent)  # (B, N)
        vectors = vq.quantizer.codebook[codes]  # (B, N, W)
    commit = F.mse_loss(latent[mask], vectors[mask])
    made = vq.synthesise(mine + (vectors[own] - mine).detach())  # (b, T, F)
    running.update(rows, codes[mask], normal, draws)
    shares = torch.bincount(codes[mask], minlength=len(vq.quantizer.codebook)) / mask.sum()
    perplexity = torch.exp(-(shares * (shares + 1e-7).log()).sum())
    return Quantised(made, latent, codes, commit, perplexity)
