"""Stage 1 of MotionReward: text and motion in one space, the same for every representation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motionrft.data import (
    BalancedBatches,
    DistinctBatches,
    GroupedBatches,
    MotionDataset,
    collate,
    drawn_captions,
)
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

    With several processes each reads, and runs the towers on, its rows of the batch. Embeddings meet, and losses of them
    are those of all rows; the reconstruction is of this process's rows, weighed so that its mean over the processes is
    that of all.

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
        company.check_batch(len(self.batches[0]))
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
            features = self.reward.text_encoder.encode(self._texts(items, step)).to(self.device)
            inputs = {name: self._motion(items, step, name) for name in self._met(step)}
            self._expect(step + 1)
            tokens, mask, t = features.tokens, features.mask, inputs[main].t
            own_text = self._sampled(self.network.encode_text(tokens, mask, t), len(items), step, "text")
            own = {name: self._encode(part, len(items), step, name) for name, part in inputs.items()}
            terms = self._reconstruction(own_text, own[main], inputs[main], items, main)
        text = self._joined(own_text, len(items))
        encoded = {name: self._joined(part, len(items)) for name, part in own.items()}
        blocked = self._blocked(features, len(items))
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
        return validate(self.reward, self.validation, self.company)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _motion(self, items: Tensor, step: int, name: str) -> "_Input":
        """This process's rows of the items (B,)."""
        rows = self.company.rows(len(items))
        batch = collate(self.data, items, self.seed, step, name, rows)
        motion = moved(batch.motion, self.device)  # (b, T, F)
        lengths = moved(batch.lengths, self.device)  # (b,)
        motion = mirror(motion, name) if self._mirrored(step) else motion
        clean = self.reward.normalise(motion, lengths, name)  # (b, T, F)
        draws = generator_for(self.seed, "noise", step)
        noised = noise_batch(clean, lengths, self.noise, self.table, draws, rows, len(items))
        return _Input(noised.motion, noised.target, lengths, noised.t)

    def _texts(self, items: Tensor, step: int) -> list[str]:
        """Captions of this process's rows."""
        texts = drawn_captions(self.data, items, self.seed, step, self.company.rows(len(items)))
        return list(map(mirror_caption, texts)) if self._mirrored(step) else texts

    def _mirrored(self, step: int) -> bool:
        """A whole batch is mirrored or none of it, so that no clip meets its own image as a negative."""
        return self.settings.mirror and step // len(self.learning) % 2 == 1

    def _expect(self, step: int) -> None:
        items = self.batches[step]
        self.data.expect(items[self.company.rows(len(items))], self._met(step))

    def _encode(self, part: "_Input", count: int, step: int, name: str) -> Encoded:
        """This process's rows of a batch of `count`."""
        gaussian = self.network.encode_motion(part.motion, part.lengths, name, part.t)
        return self._sampled(gaussian, count, step, name)

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
        self, text: Encoded, motion: Encoded, part: "_Input", items: Tensor, name: str
    ) -> dict[str, Tensor]:
        """Of the first rows of the batch, a share of them: each process decodes those that are its own."""
        count = max(1, round(self.settings.loss.decoded * len(items)))
        sizes = self.company.within(len(items), count)
        mine = sizes[self.company.place]
        if not mine:
            return dict.fromkeys(losses.RECONSTRUCTIONS, text.z.new_zeros(()))
        lengths, target = part.lengths[:mine], part.target[:mine]
        both = torch.cat((text.z[:mine], motion.z[:mine]))  # (2 mine, L)
        made = self.network.decoder(both, lengths.repeat(2), name, target.shape[1])  # (2 mine, T, ...)
        from_text, from_motion = made.flatten(2).float().chunk(2)  # (mine, T, F) each
        masked, frames = None, torch.ones(count)
        if self.settings.loss.mask_padding:
            masked, frames = lengths, self.data.lengths[items[:count]].float()
        share = self.company.share(frames, sizes)
        terms = losses.reconstruction_terms(from_text, from_motion, target, masked)
        return {term: float(share) * value for term, value in terms.items()}

    def _matching(
        self, text: Encoded, motion: Encoded, items: Tensor, blocked: Tensor | None
    ) -> dict[str, Tensor]:
        temperature = self.settings.loss.temperature
        terms = losses.matching_terms(text, motion, temperature, blocked)
        if self.groups is not None:
            groups = moved(self.groups[items], text.z.device)  # (B,)
            terms["order"] = losses.within_groups(text.z, motion.z, groups, temperature)
        return terms

    def _blocked(self, features: TextFeatures, count: int) -> Tensor | None:
        """(B, B) bool of a batch of `count`, of which the features are this process's rows."""
        threshold = self.settings.loss.false_negatives
        if threshold is None or features.pooled is None:
            return None
        pooled = self.company.joined(features.pooled, self.company.sizes(count))  # (B, E)
        return losses.false_negatives(pooled, threshold)


@dataclass(frozen=True)
class _Input:
    """Rows of a batch in one representation: the tower's input, the decoder's target, lengths, timesteps."""

    motion: Tensor  # (b, T, F)
    target: Tensor  # (b, T, F)
    lengths: Tensor  # (b,)
    t: Tensor  # (b,)


def warm_text_cache(reward: MotionReward, data: MotionDataset, mirrored: bool = False) -> None:
    """Encode every caption of a split (and of its mirror image) once: training never waits for the text encoder."""
    images = map(mirror_caption, data.texts) if mirrored else ()
    reward.text_encoder.remember(dict.fromkeys([*data.texts, *images]))


def validate(
    reward: MotionReward, data: MotionDataset, company: Distribution = ALONE
) -> dict[str, dict[str, dict[str, float]]]:
    """Recalls of a reward on a split, every clip with its first caption: representation, protocol, name.

    Each process of a company embeds some of the motions; all of them get all recalls.
    """
    captions = [item.captions[0].text for item in data.items]
    text = embed_texts(reward, captions)  # (N, L)
    result = {}
    for name in reward.network.size.representations:
        motion = embed_motions(reward, data, name, company=company)  # (N, L)
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
