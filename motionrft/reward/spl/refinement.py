"""SPL at work: mine the reward's failed retrievals in its own training set, and learn from them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.data import MotionDataset, drawn_captions, pad
from motionrft.moving import moved
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.semantic import SemanticTrainer
from motionrft.reward.spl import objective as spl
from motionrft.reward.spl.mining import Failures, mine_failures
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.seeds import generator_for


class Refiner:
    """One update: the stage-1 loss as an anchor, plus the refinement of a batch of failed retrievals.

    The representation that is mined and refined changes with every look at the training set.

    Args:
        first: the first look, where it has been taken already.
        company: shares the looks, the anchor and the refinement's rows.
    """

    def __init__(
        self,
        reward: MotionReward,
        train: MotionDataset,
        preset: RefineSplPreset,
        precision: torch.dtype = torch.float32,
        first: Failures | None = None,
        company: Distribution = ALONE,
    ) -> None:
        self.reward, self.data, self.preset = reward, train, preset
        self.company = company
        self.anchor = SemanticTrainer(reward, train, None, preset.anchor(), preset.seed, precision, company)
        self.failures = first
        self.look = -1 if first is None else 0
        self.found = 0 if first is None else len(first.items)
        """Failed retrievals of all looks."""

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
            "found": self.found,
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
        self.look, self.found = state["look"], state.get("found", 1)
        self.failures = None if state["failures"] is None else Failures(**state["failures"])

    def _refinement(self, step: int) -> tuple[Tensor, dict[str, float]]:
        name = self._representation(step)
        if self.preset.variant == "official":
            return self._in_batch(step, name), {}
        if self.failures is None or step // self.preset.bank_every != self.look:
            self.look = step // self.preset.bank_every
            self.failures = mine_failures(self.reward, self.data, name, self.preset, self.look, self.company)
            self.found += len(self.failures.items)
        found, rows = self.failures, self._rows(step, self.failures)
        metrics = {"failed": found.rate}
        count = len(rows)
        rows = rows[self.company.rows(count)]
        if len(rows) == 0:
            return torch.zeros((), device=self.anchor.device), metrics
        texts = [
            self.data.items[int(item)].captions[int(caption)].text
            for item, caption in zip(found.items[rows], found.captions[rows], strict=True)
        ]
        text = self._text(texts)
        own = (text * self._motion(found.items[rows], name)).sum(-1)
        negative = (text * self._motion(found.negatives[rows], name)).sum(-1)
        if self.preset.variant == "paper":
            # A sum over the failed rows: of this process's, times the processes, over which gradients are averaged.
            found_by_all = self.company.processes * spl.paper_refinement(
                own, negative, len(self.anchor.batches[step])
            )
            return found_by_all, metrics
        loss = spl.refinement_loss(own, negative, torch.ones_like(own), self.preset.temperature)
        return float(self.company.share(torch.ones(count))) * loss, metrics

    def _rows(self, step: int, found: Failures) -> Tensor:
        """Failures of an update: those among the anchor's batch (article), or as many as a batch holds (ours)."""
        if self.preset.variant == "paper":
            return found.rows(self.anchor.batches[step])
        draws = generator_for(self.preset.seed, "failures", step)
        return torch.randperm(len(found.items), generator=draws)[: self.preset.batch]

    def _in_batch(self, step: int, name: str) -> Tensor:
        """EasyTune's loss, with the batch as the pool."""
        items = self.anchor.batches[step]  # (B,)
        rows, sizes = self.company.rows(len(items)), self.company.sizes(len(items))
        own_text = self._text(drawn_captions(self.data, items, self.preset.seed, step, rows))
        own_motion = self._motion(items[rows], name)
        text, motion = (self.company.joined(own, sizes) for own in (own_text, own_motion))  # (B, L) each
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
        motion, lengths = moved(motion, self.anchor.device), moved(lengths, self.anchor.device)
        normalised = self.reward.normalise(motion, lengths, name)
        return F.normalize(
            self.reward.network.encode_motion(normalised, lengths, name, 0).mean.float(), dim=-1
        )
