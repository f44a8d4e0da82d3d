"""Fresh candidates: the model as it is now writes motions of the prompts, a judge ranks them, they become pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from motionrft.finetuning.token_pairs import TokenPairs
from motionrft.generators.sampling import sample_batches
from motionrft.generators.token_generator import TokenGenerator
from motionrft.preferences.judges.base import Item, Judge
from motionrft.preferences.pairs import DEGREE_SMOOTHING, balanced, pairs_of
from motionrft.preferences.prompts import EventPrompt
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS
from motionrft.training.seeds import item_seed

_PER_PROMPT, _BATCH = 3, 32


@dataclass(frozen=True)
class FreshCandidates:
    """Rounds of new pairs.

    prompts: drawn from, `at_once` of them a round. candidates: motions of each. margin: difference of scores of a pair.
    """

    generator: TokenGenerator
    judge: Judge
    prompts: Sequence[EventPrompt]
    candidates: int
    margin: float
    by_degree: bool
    smoothing: float
    seed: int
    at_once: int = 60

    def __call__(self, number: int) -> TokenPairs:
        """Pairs of round `number`, maybe none; the same for the same weights and seed.

        Raises:
            UserError: the judge cannot work.
        """
        chosen = Random(f"{self.seed} {number}").sample(self.prompts, min(self.at_once, len(self.prompts)))
        rows, items = self._written(chosen, number)
        scores: dict[str, dict[int, float]] = {}
        for place, judgement in self.judge.judge(items):
            if judgement.score is not None:
                scores.setdefault(items[place].prompt.id, {})[items[place].candidate] = judgement.score
        found = [
            pair
            for prompt in chosen
            for pair in pairs_of(prompt, scores.get(prompt.id, {}), _PER_PROMPT, self.margin)
        ]
        pairs = balanced(found)
        doubts = [DEGREE_SMOOTHING[pair.degree] if self.by_degree else self.smoothing for pair in pairs]
        return TokenPairs(
            tuple(pair.prompt.text for pair in pairs),
            tuple(rows[pair.prompt.id, pair.better] for pair in pairs),
            tuple(rows[pair.prompt.id, pair.worse] for pair in pairs),
            tuple(pair.prompt.kind for pair in pairs),
            tuple(doubts),
        )

    def _written(
        self, prompts: Sequence[EventPrompt], number: int
    ) -> tuple[dict[tuple[str, int], Tensor], list[Item]]:
        """Codes by prompt and candidate, and the usable motions to be judged."""
        generator, many = self.generator, self.candidates
        lengths = generator.frames(torch.tensor([prompt.seconds for prompt in prompts])).repeat_interleave(
            many
        )
        seeds = [
            item_seed(self.seed, number, prompt.id, place) for prompt in prompts for place in range(many)
        ]
        told = generator.encode_text([prompt.text for prompt in prompts])
        repeated = told.index(torch.arange(len(prompts)).repeat_interleave(many).to(told.device))
        rows, items = dict[tuple[str, int], Tensor](), list[tuple[int, Item]]()
        for chosen, sampled in sample_batches(generator, repeated, lengths, seeds, batch=_BATCH):
            assert sampled.tokens is not None
            clips, codes = sampled.clips(), sampled.tokens.rows()
            for row, place in enumerate(chosen.tolist()):
                prompt, candidate = prompts[place // many], place % many
                rows[prompt.id, candidate] = codes[row].cpu()
                if bool(sampled.usable[row]):
                    joints = convert(clips[row][None].cpu(), generator.representation, JOINTS)[0].float()
                    shaped = joints.reshape(len(joints), -1, 3).numpy()  # (T, 22, 3)
                    items.append((place, Item(prompt, candidate, shaped, generator.fps)))
        return rows, [item for _, item in sorted(items, key=lambda each: each[0])]
