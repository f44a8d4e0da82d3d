"""MotionReward as a reward: cosines of embedding means, in any of its representations.

One encoder pass serves every term that reads the shared embedding; text and reference embeddings are computed
once per prompt, in `prepare`.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.lengths import zero_padding
from motionrft.representations.statistics import Statistics
from motionrft.representations.windows import seen_from_windows
from motionrft.reward.base import Learnt, RewardCondition
from motionrft.reward.known import Known
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.encoder import MotionRewardNetwork, MotionTower
from motionrft.reward.motionreward.gaussian import Gaussian
from motionrft.reward.opposites import unsaid
from motionrft.text.base import TextEncoder, TextFeatures

SHARED_TERMS = ("semantic", "similarity")
"""Terms read from the shared embedding: cosine to the text, cosine to the reference motion."""
CONTRAST = "contrast"
"""Cosine to the text minus the mean of those to what it did not say (`reward.opposites`), (-2, 2), or 0 where that is
nothing. It is worth something by a reward that was trained on groups which differ in order or number alone."""
PUBLISHED_NOISE_STEPS = 500
"""Published noise-aware rewards were trained on timesteps below it, whatever their file says."""
CRITIC_OUTPUTS = {"preference": 1, "authenticity": 2}
"""Terms that have adapters and a head of their own, and the head's outputs. Preference is an unbounded score,
authenticity the probability of being real."""


class Normaliser(nn.Module):
    """One representation's statistics as buffers, so that they follow the module to its device.

    Args:
        window: joints are seen from the body in windows of that many frames first; None leaves motions as they are.
    """

    def __init__(self, statistics: Statistics, window: int | None = None) -> None:
        super().__init__()
        self.window = window
        self.register_buffer("mean", statistics.mean.clone())
        self.register_buffer("std", statistics.std.clone())

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.get_buffer("mean"), self.get_buffer("std"))

    def forward(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F) de-normalised to z-scores with zero padding."""
        if self.window is not None:
            motion = seen_from_windows(motion.view(*motion.shape[:2], -1, 3), self.window).view_as(motion)
        return zero_padding(self.statistics.normalise(motion), lengths)


class MotionReward(Learnt):
    """The unified reward of MotionRFT.

    Args:
        network: both towers and the decoder.
        statistics: of every representation that the network critics.
        text_encoder: the frozen encoder whose token states the text tower reads.
        weights: term to weight; terms without weight are neither computed nor reported.
        representation: of the motions that `forward` gets.
        critics: `preference` and `authenticity`, where they have been trained.
    """

    family: ClassVar[str] = "motionreward"
    ranges = MappingProxyType(dict.fromkeys(SHARED_TERMS, (-1.0, 1.0)))
    asked = (CONTRAST,)

    def __init__(
        self,
        network: MotionRewardNetwork,
        statistics: Mapping[str, Statistics],
        text_encoder: TextEncoder,
        weights: Mapping[str, float] | None = None,
        representation: str = "kinematic",
        critics: Mapping[str, Critic] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.normalisers = nn.ModuleDict(
            {name: Normaliser(value, network.size.window(name)) for name, value in statistics.items()}
        )
        self.text_encoder = text_encoder
        self.about: dict[str, Any] = {}
        """What is known of its making (stages, data, recalls, quantiles of held-out scores): JSON values."""
        self.known: Known | None = None
        """Its training material, thinned, by which a text or a motion far from it is told."""
        self.known_in = representation
        """The representation that `known` has motions in."""
        self.noise_steps: int | None = None
        """Timesteps below which it was trained on noisy motions; None: it never was, and judges clean ones."""
        self.adapter_time = False
        """Whether critics see the time token: the published code gives it to adapters that never saw one."""
        self.critic_window: int | None = None
        """Shorter motions are padded to so many frames, and the preference critic attends to all of them: published
        critics were trained with 196 (MotionPercept's 60 frames and 136 of zeros), though published fine-tuning
        gives them true lengths. None judges the valid frames."""
        self.critics = nn.ModuleDict(dict(critics or {}))
        self.former_tower: MotionTower | None = None
        """The motion tower that the critics were trained on, where a refinement has moved the network's own."""
        self.weigh(weights or {"semantic": 1.0})
        self.expect(representation)
        self.eval().requires_grad_(False)

    @property
    def width(self) -> int:
        """L, of the embeddings."""
        return self.network.size.latent

    @property
    def max_frames(self) -> int:
        """Two rows of the position table belong to the global token and the timestep."""
        return (self.network.size.positions - 2) * self.network.size.stack

    def config(self) -> dict[str, Any]:
        critics = {name: critic for name, critic in self.critics.items() if isinstance(critic, Critic)}
        return {
            "size": self.network.size.to_dict(),
            "text": self.text_encoder.name,
            "text_identity": self.text_encoder.identity,
            "critics": {
                name: {"rank": critic.adapter.rank, "alpha": critic.adapter.alpha}
                for name, critic in critics.items()
            },
            "adapter_time": self.adapter_time,
            "noise_steps": self.noise_steps,
            "former_tower": self.former_tower is not None,
            "critic_window": self.critic_window,
            "about": dict(self.about),
            **({} if self.known is None else {"known": self.known.config(), "known_in": self.known_in}),
        }

    @property
    def critic_tower(self) -> MotionTower:
        """The motion tower that critics adapt."""
        return self.network.motion if self.former_tower is None else self.former_tower

    def keep_critic_tower(self) -> None:
        """Have the critics stay on the motion tower as it is now, whatever becomes of the network's own.

        They are adapters, and mean what they were trained to mean on the weights they were trained on alone. The
        published authenticity critic has a tower of its own for the same reason. It costs no time: critics never share
        a pass with the embedding.
        """
        if self.critics and self.former_tower is None:
            self.former_tower = copy.deepcopy(self.network.motion).eval().requires_grad_(False)

    def normalise(self, motion: Tensor, lengths: Tensor, representation: str) -> Tensor:
        """(B, T, F) de-normalised to z-scores with zero padding."""
        return self.normalisers[representation](motion, lengths)

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term this reward can give."""
        return (*SHARED_TERMS, *self.critics)

    @property
    def kinematic_width(self) -> int | None:
        size = self.network.size
        return size.feature_width("kinematic") if "kinematic" in size.representations else None

    def expect(self, representation: str) -> None:
        """Expect motions in this representation from now on.

        Raises:
            UserError: the network was not built for it.
        """
        self.network.size.feature_width(representation)
        self.representation = representation

    @property
    def learnt_noise(self) -> bool:
        return self.noise_steps is not None

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """(B, L) unit means of texts of clean motions, through the text cache, without gradient."""
        return self.read(self._features(texts), 0)

    @torch.no_grad()
    def read(self, features: TextFeatures, t: Tensor | int) -> Tensor:
        """(B, L) unit means of texts, read at the noise level of the motions they are compared with."""
        return F.normalize(self.network.encode_text(features.tokens, features.mask, t).mean, dim=-1)

    def _features(self, texts: Sequence[str]) -> TextFeatures:
        return self.text_encoder.encode(texts).to(next(self.network.parameters()).device)

    def encode(self, motion: Tensor, lengths: Tensor, t: Tensor | int = 0) -> Gaussian:
        """The shared embedding of motions (B, T, F), de-normalised, in `representation`; differentiable."""
        normalised = self.normalise(motion.flatten(2), lengths, self.representation)
        return self.network.encode_motion(normalised, lengths, self.representation, t)

    def embed_motion(self, motion: Tensor, lengths: Tensor, t: Tensor | int = 0) -> Tensor:
        """(B, L) unit means."""
        return F.normalize(self.encode(motion, lengths, t).mean, dim=-1)

    def settle(self) -> None:
        for critic in self.critics.values():
            critic.settle(self.critic_tower)  # type: ignore[operator]

    def remember(self, texts: Sequence[str]) -> None:
        if "semantic" in self.weights:
            self.text_encoder.remember(texts)
        if CONTRAST in self.weights:
            self.text_encoder.remember([*texts, *(other for text in texts for other in unsaid(text))])

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        text = reference = features = None
        if texts and "semantic" in self.weights:
            features = self._features(texts)
            text = self.read(features, 0)
        if references is not None and lengths is not None and "similarity" in self.weights:
            with torch.no_grad():
                reference = self.embed_motion(references, lengths)
        contrast = self._contrast(texts) if texts and CONTRAST in self.weights else None
        return RewardCondition(text, reference, features if self.reads_anew else None, contrast=contrast)

    def _contrast(self, texts: Sequence[str]) -> Tensor:
        """(B, L) each text's embedding minus the mean of those of what it did not say; zeros where that is nothing."""
        others = [unsaid(text) for text in texts]
        said = sorted({*texts, *(text for each in others for text in each)})
        known = dict(zip(said, self.embed_text(said), strict=True))  # (L,) each
        rows = [
            known[text] - torch.stack([known[other] for other in each]).mean(0)
            if each
            else torch.zeros_like(known[text])
            for text, each in zip(texts, others, strict=True)
        ]
        return torch.stack(rows)

    @property
    def reads_anew(self) -> bool:
        """Modes T1: the text tower is told the noise level, so a text has an embedding at each."""
        return self.network.size.mode[3] == "1"

    def _known_level(self, t: Tensor | int) -> Tensor | int:
        """A level noisier than any it was trained on is judged as the noisiest of those, as published."""
        if self.noise_steps is None:
            return t
        last = self.noise_steps - 1
        return t.clamp(max=last) if isinstance(t, Tensor) else min(t, last)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        terms = self.raw_terms(motion, lengths, condition, t)
        total = motion.new_zeros(len(motion))  # (B,)
        for name, value in terms.items():
            total = total + self.weights[name] * value
        return total, terms

    def raw_terms(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> dict[str, Tensor]:
        """The weighted terms' raw values, each (B,), where the condition has something to compare with."""
        normalised = self.normalise(motion.flatten(2), lengths, self.representation)
        t, text = self._known_level(t), condition.text
        clean = isinstance(t, int) and t == 0
        if self.reads_anew and not clean and condition.features is not None:
            text = self.read(condition.features, t)
        against = {"semantic": text, "similarity": condition.reference, CONTRAST: condition.contrast}
        compared = {
            name: other for name, other in against.items() if name in self.weights and other is not None
        }
        terms = {}
        if compared:
            mean = self.network.encode_motion(normalised, lengths, self.representation, t).mean
            own = F.normalize(mean, dim=-1)
            terms = {name: (own * other).sum(-1) for name, other in compared.items()}
        for name in self.critics:
            if name in self.weights:
                terms[name] = self._answered(name, normalised, lengths, t)
        return terms

    def _answered(self, name: str, normalised: Tensor, lengths: Tensor, t: Tensor | int) -> Tensor:
        """(B,) of one critic, from normalised motions."""
        if name == "preference" and self.critic_window is not None:
            normalised = F.pad(normalised, (0, 0, 0, max(0, self.critic_window - normalised.shape[1])))
            lengths = lengths.clamp(min=self.critic_window)
        time = t if self.adapter_time and self.network.size.mode[1] == "1" else None
        answer = self.critics[name](self.critic_tower, normalised, lengths, self.representation, time)
        return answer.softmax(-1)[:, 0] if answer.shape[-1] == 2 else answer[:, 0]
