"""Stage 1 of MotionReward: text and motion in one space, the same for every representation."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from motionrft.data import BalancedBatches, Batch, DistinctBatches, GroupedBatches, MotionDataset, collate
from motionrft.files.captions import mirror_caption
from motionrft.moving import moved
from motionrft.representations.mirror import mirror
from motionrft.reward.embedding import embed_motions, embed_texts
from motionrft.reward.motionreward import losses
from motionrft.reward.motionreward.gaussian import Gaussian
from motionrft.reward.motionreward.losses import Encoded
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.noise import NoiseSettings, alphas_cumprod, noise_batch
from motionrft.reward.motionreward.preset import SemanticPart
from motionrft.reward.retrieval import recall_protocols
from motionrft.text.base import TextFeatures
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.optimiser import Optimiser
from motionrft.training.seeds import generator_for

_BATCHES = {"balanced": BalancedBatches, "distinct": DistinctBatches, "grouped": GroupedBatches}


class SemanticTrainer:
    """One update: a batch of clips in one representation against its captions, and the others aligned with
    it.

    The representation that carries the reconstruction changes from update to update; every representation
    that is encoded for the alignment meets the captions too, since the text is encoded already.

    With several processes each runs the towers on its rows of the batch; embeddings meet, and losses are of all of them.

    Args:
        reward: trained in place; its text encoder stays frozen.
        train: the training split.
        validation: looked at every `validate_every` updates, or None. Never the test split.
    """

    def __init__(
        self,
        reward: MotionReward,
        train: MotionDataset,
        validation: MotionDataset | None,
        settings: SemanticPart,
        seed: int = 0,
        precision: torch.dtype = torch.float32,
        company: Distribution = ALONE,
    ) -> None:
        self.reward, self.data, self.validation, self.settings = reward, train, validation, settings
        self.seed, self.precision = seed, precision
        self.company = company
        self.network = reward.network.requires_grad_(settings.only is None).train()
        self.learning = settings.only or reward.network.size.representations
        """The representations that are trained; the others, where there are any, are what they are aligned with."""
        for name in settings.only or ():
            self.network.own_layers(name).requires_grad_(True)
        self.weights = losses.LossWeights(
            reconstruction=settings.loss.reconstruction,
            kl=settings.loss.kl,
            latent=settings.loss.latent,
            contrastive=settings.loss.contrastive,
            alignment=settings.loss.alignment,
            order=settings.loss.order,
        )
        self.batches = _BATCHES[settings.batches](train, settings.batch, seed)
        self.groups = train.groups if settings.batches == "grouped" else None
        self.optimiser = Optimiser(
            self.network, settings.optimiser, total=settings.updates, company=self.company
        )
        self.noise = NoiseSettings(**settings.noise.model_dump())
        self.table = alphas_cumprod()  # (steps,)
        self.device = next(self.network.parameters()).device

    def update(self, step: int) -> dict[str, Any]:
        """One optimiser update; metrics are the loss, its terms, and now and then validation recalls."""
        terms, total = self.loss(step)
        total.backward()
        metrics: dict[str, Any] = {name: value.detach() for name, value in {"loss": total, **terms}.items()}
        metrics.update(self.optimiser.step())
        if (step + 1) % self.settings.validate_every == 0:
            metrics.update(flat_recalls(self.validate()))
        return metrics

    def loss(self, step: int) -> tuple[dict[str, Tensor], Tensor]:
        """Terms and weighted total of one batch."""
        main = self.learning[step % len(self.learning)]
        aligned = len(self._met(step)) > 1
        with torch.autocast(self.device.type, self.precision, self.precision != torch.float32):
            items = self.batches[step]  # (B,)
            texts = self._batch(items, step, main).texts
            features = self.reward.text_encoder.encode(texts).to(self.device)
            inputs = {name: self._motion(items, step, name) for name in self._met(step)}
            self.data.expect(self.batches[step + 1], self._met(step + 1))
            rows = self.company.rows(len(items))
            tokens, mask, t = features.tokens[rows], features.mask[rows], inputs[main].t[rows]
            own_text = self._sampled(self.network.encode_text(tokens, mask, t), len(items), step, "text")
            own = {name: self._encode(part, rows, step, name) for name, part in inputs.items()}
            terms = self._reconstruction(own_text, own[main], inputs[main], rows, main)
        text = self._joined(own_text, len(items))
        encoded = {name: self._joined(part, len(items)) for name, part in own.items()}
        blocked = self._blocked(features)
        terms.update(self._matching(text, encoded[main], items, blocked))
        total = losses.weighted_total(terms, self.weights)
        if aligned:
            for name in self.learning:
                if name != main:
                    others = self._matching(text, encoded[name], items, blocked)
                    total = total + losses.weighted_total(others, self.weights)
            terms["align"] = losses.alignment_loss(
                encoded, self.settings.loss.pairs, self.weights, self.settings.loss.temperature
            )
            total = total + self.weights.alignment * terms["align"]
        return terms, total

    def _met(self, step: int) -> tuple[str, ...]:
        """The representations of a step: the one that carries the reconstruction, and where they are aligned all."""
        aligned = step % self.settings.loss.align_every == 0
        return self.network.size.representations if aligned else (self.learning[step % len(self.learning)],)

    def validate(self) -> dict[str, dict[str, dict[str, float]]]:
        """Recalls on the validation split: representation, protocol, name."""
        if self.validation is None:
            return {}
        return validate(self.reward, self.validation)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _motion(self, items: Tensor, step: int, name: str) -> "_Input":
        batch = self._batch(items, step, name)
        motion, lengths = (
            moved(batch.motion, self.device),
            moved(batch.lengths, self.device),
        )  # (B, T, F), (B,)
        clean = self.reward.normalise(motion, lengths, name)  # (B, T, F)
        draws = generator_for(self.seed, "noise", step)
        noised = noise_batch(clean, lengths, self.noise, self.table, draws)
        return _Input(noised.motion, noised.target, lengths, noised.t)

    def _batch(self, items: Tensor, step: int, name: str) -> Batch:
        """Clips and captions; as a whole batch mirrored, so that no clip meets its own image as a negative."""
        batch = collate(self.data, items, self.seed, step, name)
        if not self.settings.mirror or step // len(self.learning) % 2 == 0:
            return batch
        texts = [mirror_caption(text) for text in batch.texts]
        return replace(batch, motion=mirror(batch.motion, name), texts=texts)

    def _encode(self, part: "_Input", rows: slice, step: int, name: str) -> Encoded:
        """This process's rows."""
        gaussian = self.network.encode_motion(part.motion[rows], part.lengths[rows], name, part.t[rows])
        return self._sampled(gaussian, len(part.t), step, name)

    def _sampled(self, gaussian: Gaussian, count: int, step: int, what: str) -> Encoded:
        """Sampled with this process's rows of the noise of a batch of `count`."""
        gaussian = Gaussian(gaussian.mean.float(), gaussian.log_variance.float())
        draws = generator_for(self.seed, "latent", step, what)
        noise = torch.randn(count, gaussian.mean.shape[1], generator=draws)[self.company.rows(count)]
        return Encoded(gaussian, gaussian.sample(moved(noise, self.device)))

    def _joined(self, own: Encoded, count: int) -> Encoded:
        """The batch's rows of all processes."""
        flat = torch.cat((own.gaussian.mean, own.gaussian.log_variance, own.z), dim=1)  # (b, 3 L)
        mean, log_variance, z = self.company.joined(flat, self.company.sizes(count)).chunk(3, dim=1)  # (B, L)
        return Encoded(Gaussian(mean, log_variance), z)

    def _reconstruction(
        self, text: Encoded, motion: Encoded, part: "_Input", rows: slice, name: str
    ) -> dict[str, Tensor]:
        """Of the first rows of the batch, a share of them: each process decodes those that are its own."""
        count = max(1, round(self.settings.loss.decoded * len(part.t)))
        sizes = self.company.within(len(part.t), count)
        mine = sizes[self.company.place]
        lengths, target = part.lengths[:count], part.target[:count]
        frames = target.shape[1]
        both = torch.cat((text.z[:mine], motion.z[:mine]))  # (2 mine, L)
        own = lengths[rows.start : rows.start + mine].repeat(2)
        if mine:
            made = self.network.decoder(both, own, name, frames).flatten(2).float()  # (2 mine, T, F)
        else:
            made = both.new_zeros(0, *target.shape[1:])
        from_text, from_motion = (self.company.joined(half, sizes) for half in made.chunk(2))  # (count, T, F)
        masked = lengths if self.settings.loss.mask_padding else None
        return losses.reconstruction_terms(from_text, from_motion, target, masked)

    def _matching(
        self, text: Encoded, motion: Encoded, items: Tensor, blocked: Tensor | None
    ) -> dict[str, Tensor]:
        temperature = self.settings.loss.temperature
        terms = losses.matching_terms(text, motion, temperature, blocked)
        if self.groups is not None:
            groups = self.groups[items].to(text.z.device)  # (B,)
            terms["order"] = losses.within_groups(text.z, motion.z, groups, temperature)
        return terms

    def _blocked(self, features: TextFeatures) -> Tensor | None:
        threshold = self.settings.loss.false_negatives
        if threshold is None or features.pooled is None:
            return None
        return losses.false_negatives(features.pooled, threshold)


@dataclass(frozen=True)
class _Input:
    """One representation of a batch: the tower's input, the decoder's target, lengths, timesteps."""

    motion: Tensor  # (B, T, F)
    target: Tensor  # (B, T, F)
    lengths: Tensor  # (B,)
    t: Tensor  # (B,)


def warm_text_cache(reward: MotionReward, data: MotionDataset, mirrored: bool = False) -> None:
    """Encode every caption of a split (and of its mirror image) once: training never waits for the text encoder."""
    images = map(mirror_caption, data.texts) if mirrored else ()
    reward.text_encoder.remember(dict.fromkeys([*data.texts, *images]))


def validate(reward: MotionReward, data: MotionDataset) -> dict[str, dict[str, dict[str, float]]]:
    """Recalls of a reward on a split, every clip with its first caption: representation, protocol, name."""
    captions = [item.captions[0].text for item in data.items]
    text = embed_texts(reward, captions)  # (N, L)
    result = {}
    for name in reward.network.size.representations:
        motion = embed_motions(reward, data, name)  # (N, L)
        result[name] = recall_protocols(text, motion, data.labels)
    return result


def flat_recalls(recalls: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """`val/kinematic/label/t2m/R1` and so on: R@1 and R@3 of every protocol."""
    return {
        f"val/{representation}/{protocol}/{name}": value
        for representation, protocols in recalls.items()
        for protocol, values in protocols.items()
        for name, value in values.items()
        if name.endswith(("/R1", "/R3"))
    }
