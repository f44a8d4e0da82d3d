"""What trajectories start from: text conditions, reward embeddings, noise, references, of one batch at a time.

Nothing is held for all prompts at once. Texts are encoded into the cache on disk a stretch of batches ahead, so that a
text encoder is loaded now and then and not for every batch.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from motionrft.diffusion.rollout import Padding, Start
from motionrft.finetuning.objective import MicroBatch
from motionrft.finetuning.pairs import PairPrompts
from motionrft.finetuning.prompts import PromptSet
from motionrft.finetuning.references import Key, References
from motionrft.generators.base import Condition, Generator
from motionrft.generators.noise import ItemNoise
from motionrft.moving import moved
from motionrft.reward.base import Reward, RewardCondition
from motionrft.training.seeds import item_seed

Visits = Iterable[tuple[Tensor, Tensor]]
"""Batches of prompts, (B,) each, and how often each prompt was met before, (B,)."""


class PreparedPrompts:
    """Starts of trajectories for a set of prompts.

    Args:
        references: gives reference embeddings, or None where no term compares.
        noises: different noises a prompt meets in turn; None draws ever new ones.
        motions: hand out the prompts' recorded motions with every micro-batch.
        paired: the reward compares with the recorded motions instead of `references`.
        padding: of captured calls, which want few shapes.
    """

    def __init__(
        self,
        generator: Generator,
        reward: Reward | None,
        prompts: PromptSet,
        seed: int,
        device: torch.device,
        references: References | None = None,
        noises: int | None = 1,
        motions: bool = False,
        paired: bool = False,
        padding: Padding | None = None,
    ):
        self.generator, self.prompts, self.seed, self.device = generator, prompts, seed, device
        self.references, self.noises, self.motions = references, noises, motions
        self.padding = padding
        self.reward, self.paired = reward, paired

    def remember(self, visits: Visits) -> None:
        """Encode the texts of batches to come, where they are not known yet."""
        named = [key for items, met in visits for key in zip(items.tolist(), met.tolist(), strict=True)]
        texts = list(
            dict.fromkeys(self.prompts.text(item, self.prompts.caption(item, met)) for item, met in named)
        )
        self.generator.remember(texts)
        if self.reward is not None:
            self.reward.remember(texts)

    def micro_batches(self, items: Tensor, visits: Tensor | int, size: int | None) -> list[MicroBatch]:
        """A batch of prompts as micro-batches of at most `size` (None: all at once).

        Args:
            items: (B,) positions among the prompts.
            visits: (B,) how often each was met before, or one number for all: it turns to a prompt's next caption
                and noise.
        """
        keys = [
            self._key(item, visit) for item, visit in zip(items.tolist(), _each(visits, items), strict=True)
        ]
        size, count = size or len(items), len(items)
        parts = [slice(first, first + size) for first in range(0, count, size)]
        return [self._micro_batch(items[part], keys[part], len(items[part]) / count) for part in parts]

    def _key(self, item: int, visit: int) -> Key:
        number = visit if self.noises is None else visit % self.noises
        return item, self.prompts.caption(item, visit), number

    def _micro_batch(self, items: Tensor, keys: list[Key], share: float) -> MicroBatch:
        texts = [self.prompts.text(item, caption) for item, caption, _ in keys]
        start = self._start(items, keys, texts)
        if self.reward is not None:
            start = replace(start, reward_condition=self._told(self.reward, items, keys, texts, start))
        if self.references is not None:
            start = self._with_noise(start, items, keys)  # anew: the reference has drawn from the first
        motion = self.recorded(items) if self.motions else None  # (B, T, F)
        worse = self.prompts.worse_motions(items) if isinstance(self.prompts, PairPrompts) else None
        return MicroBatch(start, share, items, motion, None if worse is None else worse.to(self.device))

    def _told(
        self, reward: Reward, items: Tensor, keys: list[Key], texts: list[str], start: Start
    ) -> RewardCondition:
        """What the reward knows of these prompts (B,)."""
        motion = self.recorded(items) if self.paired else None
        told = reward.prepare(texts, motion, start.lengths).to(self.device)
        if self.references is None:
            return told
        return replace(told, reference=self.references(keys, texts, start))

    def recorded(self, items: Tensor) -> Tensor:
        """(B, T, D) recorded motions of some prompts, T the longest of their lengths."""
        motion = self.prompts.motions(items, self.generator.representation, self.generator.fps)
        return moved(motion, self.device)

    def _start(self, items: Tensor, keys: list[Key], texts: list[str]) -> Start:
        lengths = self.prompts.lengths[items]  # (B,)
        with torch.no_grad():
            condition = self.generator.told(self.generator.encode_text(texts), lengths).to(self.device)
        start = Start(
            torch.empty(0), condition, moved(lengths, self.device), RewardCondition(), int(lengths.max())
        )
        if self.padding is not None:
            start = _padded(start, self.padding, self.generator.max_frames)
        return self._with_noise(start, items, keys)

    def _with_noise(self, start: Start, items: Tensor, keys: list[Key]) -> Start:
        seeds = [item_seed(self.seed, "noise", item, number) for item, _, number in keys]
        noise = ItemNoise(self.generator, self.prompts.lengths[items], seeds, self.device)
        return replace(start, noise=noise.draw(), draw=noise.draw)


def _each(visits: Tensor | int, items: Tensor) -> list[int]:
    return visits.tolist() if isinstance(visits, Tensor) else [visits] * len(items)


def _padded(start: Start, padding: Padding, longest: int) -> Start:
    """`start` with more padding, which masks make invisible: frames up to `longest` at most; a lone token stays alone."""
    assert isinstance(start.condition, Condition) and start.frames is not None
    frames = min(-(-start.frames // padding.frames) * padding.frames, longest)
    condition, tokens = start.condition, start.condition.text.tokens.shape[1]
    if tokens > 1:
        text = condition.text.padded(-(-tokens // padding.tokens) * padding.tokens)
        condition = replace(condition, text=text)
    return replace(start, frames=max(start.frames, frames), condition=condition)
