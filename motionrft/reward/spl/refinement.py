"""SPL at work: mine the reward's failed retrievals in its own training set, and learn from them."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data import MotionDataset, collate, pad
from motionrft.reward.embedding import embed_motions, embed_texts
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.semantic import SemanticTrainer
from motionrft.reward.spl import objective as spl
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.training.seeds import generator_for


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


class Refiner:
    """One update: the stage-1 loss as an anchor, plus the refinement of a batch of failed retrievals.

    The representation that is mined and refined changes with every look at the training set.
    """

    def __init__(
        self,
        reward: MotionReward,
        train: MotionDataset,
        preset: RefineSplPreset,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.reward, self.data, self.preset = reward, train, preset
        self.anchor = SemanticTrainer(reward, train, None, preset.anchor(), preset.seed, precision)
        self.failures: Failures | None = None
        self.look = -1

    def update(self, step: int) -> dict[str, Any]:
        """One optimiser update; metrics are the losses and the share of failed retrievals."""
        terms, total = self.anchor.loss(step)
        refinement, metrics = self._refinement(step)
        (total + self.preset.weight * refinement).backward()
        told = {"loss": total, "refinement": refinement, "infonce": terms["infonce"]}
        numbers = {name: value.detach() for name, value in told.items()}
        return metrics | numbers | self.anchor.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        found = self.failures
        return {
            "anchor": self.anchor.state_dict(),
            "look": self.look,
            "failures": None
            if found is None
            else {
                "items": found.items,
                "negatives": found.negatives,
                "captions": found.captions,
                "rate": found.rate,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.anchor.load_state_dict(state["anchor"])
        self.look = state["look"]
        self.failures = None if state["failures"] is None else Failures(**state["failures"])

    def _refinement(self, step: int) -> tuple[Tensor, dict[str, float]]:
        name = self._representation(step)
        if self.preset.variant != "refinement":
            return self._in_batch(step, name), {}
        if self.failures is None or step // self.preset.bank_every != self.look:
            self.look = step // self.preset.bank_every
            self.failures = mine_failures(self.reward, self.data, name, self.preset, self.look)
        found = self.failures
        metrics = {"failed": found.rate}
        if len(found.items) == 0:
            return torch.zeros((), device=self.anchor.device), metrics
        draws = generator_for(self.preset.seed, "failures", step)
        rows = torch.randperm(len(found.items), generator=draws)[: self.preset.batch]
        texts = [
            self.data.items[int(item)].captions[int(caption)].text
            for item, caption in zip(found.items[rows], found.captions[rows], strict=True)
        ]
        text = self._text(texts)
        own = (text * self._motion(found.items[rows], name)).sum(-1)
        negative = (text * self._motion(found.negatives[rows], name)).sum(-1)
        return spl.refinement_loss(own, negative, torch.ones_like(own), self.preset.temperature), metrics

    def _in_batch(self, step: int, name: str) -> Tensor:
        """The article's loss or EasyTune's, with the batch as the pool."""
        items = self.anchor.batches[step]
        text = self._text(collate(self.data, items, self.preset.seed, step, name).texts)
        motion = self._motion(items, name)
        if self.preset.variant == "paper":
            return spl.paper_loss(text, motion, self.preset.top_k)
        return spl.official_loss(text, motion, self.preset.top_k, self.preset.temperature)

    def _representation(self, step: int) -> str:
        names = self.reward.network.size.representations
        return names[step // self.preset.bank_every % len(names)]

    def _text(self, texts: list[str]) -> Tensor:
        """(B, L) unit means, with gradient."""
        features = self.reward.text_encoder.encode(texts).to(self.anchor.device)
        return F.normalize(
            self.reward.network.encode_text(features.tokens, features.mask, 0).mean.float(), dim=-1
        )

    def _motion(self, items: Tensor, name: str) -> Tensor:
        """(B, L) unit means, with gradient."""
        motion, lengths = pad([self.data.motion(int(item), name) for item in items])
        motion, lengths = motion.to(self.anchor.device), lengths.to(self.anchor.device)
        normalised = self.reward.normalise(motion, lengths, name)
        return F.normalize(
            self.reward.network.encode_motion(normalised, lengths, name, 0).mean.float(), dim=-1
        )


def mine_failures(
    reward: MotionReward, data: MotionDataset, name: str, preset: RefineSplPreset, look: int = 0
) -> Failures:
    """Ask every clip's caption for its motion among those of the whole data set."""
    pick = torch.rand(len(data), generator=generator_for(preset.seed, "caption of look", look))
    captions = torch.tensor([int(p * len(item.captions)) for p, item in zip(pick, data.items, strict=True)])
    texts = [item.captions[int(c)].text for item, c in zip(data.items, captions, strict=True)]
    similarity = spl.cosines(embed_texts(reward, texts), embed_motions(reward, data, name))
    sentences = reward.text_encoder.encode(texts).pooled
    masked = torch.zeros_like(similarity, dtype=torch.bool)
    if sentences is not None:
        masked |= spl.near_duplicates(sentences, sentences, preset.duplicates)
    if preset.same_kind and data.labels is not None:
        masked |= data.labels[:, None] == data.labels[None, :]
    own = torch.arange(len(data))
    masked[own, own] = False
    failed, negative = spl.mine(similarity, own, preset.top_k, masked)
    # A row whose every other motion is masked has no wrong answer to learn from.
    failed &= ~masked[own, negative]
    items = torch.nonzero(failed)[:, 0]
    return Failures(items, negative[items], captions[items], failed.double().mean().item())
