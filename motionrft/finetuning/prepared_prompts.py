"""What trajectories start from, computed once: text conditions, reward embeddings, noise, references."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.process import Process
from motionrft.diffusion.rollout import Start, sample
from motionrft.finetuning.objective import MicroBatch
from motionrft.finetuning.prompts import PromptSet
from motionrft.generators.base import Condition, Generator
from motionrft.generators.sampling import ItemNoise
from motionrft.moving import moved
from motionrft.reward.base import Reward, RewardCondition
from motionrft.text.base import stack
from motionrft.training.seeds import item_seed

_TEXTS_AT_ONCE = 256


class References:
    """Reward embeddings of the frozen generator's own output, for the same prompt and noise as the tuned
    one's.

    Computed when first needed, without gradient, and kept by (prompt, noise number).

    Args:
        guidance: scale of the frozen trajectory. A scale above the tuned one's makes the term pull towards
            what guidance would have given.
        frozen: inside this context the generator is the untuned one.
        keep: whether references will be met again; ever new noise would fill the memory.
    """

    def __init__(
        self,
        generator: Generator,
        process: Process,
        reward: Reward,
        guidance: float,
        frozen: Callable[[], AbstractContextManager[None]],
        keep: bool,
    ):
        self.generator, self.process, self.reward = generator, process, reward
        self.guidance, self.frozen, self.keep = guidance, frozen, keep
        self.known: dict[tuple[int, int], Tensor] = {}

    def __call__(self, keys: Sequence[tuple[int, int]], texts: Sequence[str], start: Start) -> Tensor:
        """(B, L) embeddings for the items of `start`, which `keys` names."""
        missing = [row for row, key in enumerate(keys) if key not in self.known]
        fresh: dict[tuple[int, int], Tensor] = {}
        if missing:
            embedded = self._compute([texts[row] for row in missing], _rows(start, missing))
            fresh = dict(zip((keys[row] for row in missing), embedded, strict=True))
        if self.keep:
            self.known.update(fresh)
        return torch.stack([fresh[key] if key in fresh else self.known[key] for key in keys])

    def _compute(self, texts: Sequence[str], start: Start) -> Tensor:
        with torch.no_grad(), self.frozen():
            state = sample(self.generator, self.process, start, self.guidance)
            motion = self.generator.decode(state, start.lengths, start.frames)
            reference = self.reward.prepare(texts, motion, start.lengths).reference
        assert reference is not None, "this reward compares with no reference"
        return reference

    def state_dict(self) -> dict[str, Any]:
        """The known embeddings: recomputed in other batches, they would differ in the last bit."""
        keys = sorted(self.known)
        rows = [self.known[key] for key in keys]
        return {
            "keys": torch.tensor(keys).reshape(-1, 2),
            "rows": torch.stack(rows) if rows else torch.empty(0),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        device = self.process.timesteps.device
        keys = [(int(item), int(number)) for item, number in state["keys"]]
        self.known = dict(zip(keys, state["rows"].to(device), strict=True))


class PreparedPrompts:
    """Starts of trajectories for a set of prompts.

    Args:
        references: gives reference embeddings, or None where no term compares.
        noises: different noises a prompt meets in turn; None draws ever new ones.
        motions: hand out the prompts' recorded motions with every micro-batch.
        paired: the reward compares with the recorded motions instead of `references`.
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
    ):
        self.generator, self.prompts, self.seed, self.device = generator, prompts, seed, device
        self.references, self.noises, self.motions = references, noises, motions
        self.reward, self.paired = reward, paired
        distinct = sorted(set(prompts.texts))
        place = {text: number for number, text in enumerate(distinct)}
        self.text_of = torch.tensor([place[text] for text in prompts.texts])
        self.condition = _conditions(generator, distinct).to(device)
        self.reward_condition = RewardCondition() if reward is None else reward.prepare(distinct).to(device)

    def micro_batches(self, items: Tensor, epoch: int, size: int | None) -> list[MicroBatch]:
        """A batch of prompts as micro-batches of at most `size` (None: all at once).

        Args:
            items: (B,) positions among the prompts.
            epoch: how often the prompts have been gone through; it turns to a prompt's next noise.
        """
        number = epoch if self.noises is None else epoch % self.noises
        parts = items.split(size or len(items))
        return [self._micro_batch(part, number, len(part) / len(items)) for part in parts]

    def _micro_batch(self, items: Tensor, number: int, share: float) -> MicroBatch:
        keys = [(item, number) for item in items.tolist()]
        start = self._start(items, keys)
        if self.references is not None:
            texts = [self.prompts.texts[item] for item in items.tolist()]
            reward_condition = RewardCondition(
                self._text_condition(items).text, self.references(keys, texts, start)
            )
            start = self._start(
                items, keys, reward_condition
            )  # noise anew: the reference has drawn from the first
        elif self.paired and self.reward is not None:
            texts = [self.prompts.texts[item] for item in items.tolist()]
            start = replace(
                start, reward_condition=self.reward.prepare(texts, self.recorded(items), start.lengths)
            )
        motion = self.recorded(items) if self.motions else None
        return MicroBatch(start, share, items, motion)

    def recorded(self, items: Tensor) -> Tensor:
        """(B, T, D) recorded motions of some prompts, T the longest of their lengths."""
        motion = self.prompts.motions(items, self.generator.representation, self.generator.fps)
        return moved(motion, self.device)

    def _start(
        self, items: Tensor, keys: Sequence[tuple[int, int]], reward_condition: RewardCondition | None = None
    ) -> Start:
        lengths = self.prompts.lengths[items]
        seeds = [item_seed(self.seed, "noise", *key) for key in keys]
        noise = ItemNoise(self.generator, lengths, seeds, self.device)
        texts = moved(self.text_of[items], self.device)
        reward_condition = reward_condition or self._text_condition(items)
        frames, condition = int(lengths.max()), self.condition.index(texts)
        return Start(
            noise.draw(), condition, moved(lengths, self.device), reward_condition, frames, noise.draw
        )

    def _text_condition(self, items: Tensor) -> RewardCondition:
        return self.reward_condition.index(moved(self.text_of[items], self.device))


def _conditions(generator: Generator, texts: Sequence[str]) -> Condition:
    """The generator's condition of every distinct text, encoded once."""
    parts = [
        generator.encode_text(texts[first : first + _TEXTS_AT_ONCE])
        for first in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return Condition(stack([part.text for part in parts]), parts[0].null)


def _rows(start: Start, rows: Sequence[int]) -> Start:
    """Some items of a start."""
    items = moved(torch.tensor(rows), start.lengths.device)
    draw = start.draw
    return Start(
        start.noise[items],
        start.condition.index(items),
        start.lengths[items],
        None,
        start.frames,
        None if draw is None else lambda n: draw(n)[items],
    )
