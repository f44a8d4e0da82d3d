"""Failed retrievals of a whole training set, found block by block: memory does not grow with its square."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data import MotionDataset
from motionrft.reward.embedding import embed_motions, embed_texts
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.spl.ranking import failed_retrievals
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.strings import Strings
from motionrft.text.base import TextEncoder
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.seeds import generator_for

BLOCK = 32 * 2**20
"""Bytes of one matrix of captions against all motions; a handful of them are alive at a time."""
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Failures:
    """Failed retrievals of one look at the training set.

    items: (F,) clips whose own motion was not found. negatives: (F,) the wrong motion that came first.
    captions: (F,) which of an item's captions was asked. rate: share of all clips that failed.
    """

    items: Tensor
    negatives: Tensor
    captions: Tensor
    rate: float

    def rows(self, wanted: Tensor) -> Tensor:
        """Positions here of those of the wanted items (N,) that failed."""
        return torch.nonzero(torch.isin(self.items, wanted))[:, 0]


def mine_failures(
    reward: MotionReward,
    data: MotionDataset,
    name: str,
    preset: RefineSplPreset,
    look: int = 0,
    company: Distribution = ALONE,
) -> Failures:
    """Ask every clip's caption for its motion among those of the whole data set (Eq. 11).

    The article knows no captions that say the same; its variant masks none. Each process of a company embeds some of
    the motions and asks some of the captions; all of them get all failures.
    """
    pick = torch.rand(len(data), generator=generator_for(preset.seed, "caption of look", look))
    captions = (pick * data.items.caption_counts).long()  # (N,)
    texts = Strings(data.items.text(item, caption) for item, caption in enumerate(captions.tolist()))
    queries = F.normalize(embed_texts(reward, texts), dim=-1)  # (N, L)
    motions = F.normalize(embed_motions(reward, data, name, company=company), dim=-1)  # (N, L)
    alike = _Alike.of(reward.text_encoder, texts, data.labels, preset)
    mine = torch.arange(len(data))[company.rows(len(data))]
    # Answers are put in place: small ones kept between the blocks' large matrices would keep the heap from using their
    # room again, which was 55 MB a block at 90,000 clips.
    failed, negative = torch.empty(len(mine), dtype=torch.bool), torch.empty(len(mine), dtype=torch.int64)
    for rows in torch.arange(len(mine)).split(max(1, BLOCK // (4 * len(data)))):
        own = mine[rows]
        scores = alike.without_kin(queries[own] @ motions.T, own)
        failed[rows], negative[rows] = failed_retrievals(scores, own, preset.top_k, alike.mask, alike.width)
    parts = company.gather((failed, negative))
    missed, found = (torch.cat(part) for part in zip(*parts, strict=True))  # (N,) each
    items = torch.nonzero(missed)[:, 0]
    return Failures(items, found[items], captions[items], len(items) / len(data))


@dataclass(frozen=True)
class _Alike:
    """Which other motions are no wrong answers to a caption.

    sentences: (N, E) unit sentence vectors of the captions, labels: (N,) kinds of motion; None where they do not count.
    """

    threshold: float
    sentences: Tensor | None = None
    labels: Tensor | None = None

    @classmethod
    def of(
        cls, encoder: TextEncoder, texts: Sequence[str], labels: Tensor | None, preset: RefineSplPreset
    ) -> "_Alike":
        if preset.variant == "paper":
            return cls(preset.duplicates)
        sentences = _sentence_vectors(encoder, texts)
        return cls(preset.duplicates, sentences, labels if preset.same_kind else None)

    def without_kin(self, scores: Tensor, own: Tensor) -> Tensor:
        """Scores (B, N), those of motions of the kind of `own` (B,) -inf, in place; their own stay."""
        if self.labels is not None:
            rows = torch.arange(len(own))
            kept = scores[rows, own]
            scores.masked_fill_(self.labels[own, None] == self.labels[None], float("-inf"))
            scores[rows, own] = kept
        return scores

    def mask(self, own: Tensor, others: Tensor) -> Tensor:
        """(b, m) bool: captions of others (b, m) that say nearly what those of `own` (b,) say."""
        if self.sentences is None:
            return torch.zeros(others.shape, dtype=torch.bool)
        cosines = self.sentences[others] @ self.sentences[own, :, None]  # (b, m, 1)
        return cosines[..., 0] > self.threshold

    @property
    def width(self) -> int:
        """Bytes of what `mask` gathers of each of the others."""
        return 0 if self.sentences is None else self.sentences.itemsize * self.sentences.shape[1]


def _sentence_vectors(encoder: TextEncoder, texts: Sequence[str]) -> Tensor | None:
    """(N, E) unit vectors, or None for an encoder that has none."""
    if encoder.pooled_width is None:
        return None
    parts = [
        encoder.encode(texts[first : first + _TEXTS_AT_ONCE]).pooled
        for first in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return F.normalize(torch.cat([part for part in parts if part is not None]), dim=-1)
