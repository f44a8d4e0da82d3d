"""Fresh candidates: the model as it is now writes motions of the prompts, a judge ranks them, they become pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from motionrft.finetuning.token_pairs import TokenPairs
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.sampling import sample_batches
from motionrft.generators.token_generator import TokenGenerator
from motionrft.preferences.judges.base import Item, Judge
from motionrft.preferences.pairs import DEGREE_SMOOTHING, balanced, pairs_of
from motionrft.preferences.prompts import EventPrompt
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.seeds import item_seed

_PER_PROMPT, _BATCH = 3, 32


@dataclass(frozen=True)
class FreshCandidates:
    """Rounds of new pairs.

    prompts: drawn from, `at_once` of them a round. candidates: motions of each. margin: difference of scores of a pair.
    company: each process writes and judges for its share of the prompts.
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
    company: Distribution = ALONE

    def __call__(self, number: int) -> TokenPairs:
        """Pairs of round `number`, maybe none; the same for the same weights and seed.

        Raises:
            UserError: the judge cannot work.
        """
        chosen = Random(f"{self.seed} {number}").sample(self.prompts, min(self.at_once, len(self.prompts)))
        shares = self.company.gather(self._judged(chosen[self.company.rows(len(chosen))], number))
        rows = [torch.tensor(codes) for written, _ in shares for codes in written]
        given = [score for _, scores in shares for score in scores]
        scores: dict[str, dict[int, float]] = {}
        for place, score in enumerate(given):
            if score is not None:
                scores.setdefault(chosen[place // self.candidates].id, {})[place] = score
        found = [
            pair
            for prompt in chosen
            for pair in pairs_of(prompt, scores.get(prompt.id, {}), _PER_PROMPT, self.margin)
        ]
        pairs = balanced(found)
        doubts = [DEGREE_SMOOTHING[pair.degree] if self.by_degree else self.smoothing for pair in pairs]
        return TokenPairs(
            tuple(pair.prompt.text for pair in pairs),
            tuple(rows[pair.better] for pair in pairs),
            tuple(rows[pair.worse] for pair in pairs),
            tuple(pair.prompt.kind for pair in pairs),
            tuple(doubts),
        )

    def _judged(
        self, prompts: Sequence[EventPrompt], number: int
    ) -> tuple[list[list[int]], list[float | None]]:
        """Codes and scores, None for none, of the candidates of some prompts."""
        if not prompts:
            return [], []
        seeds = [
            item_seed(self.seed, number, prompt.id, place)
            for prompt in prompts
            for place in range(self.candidates)
        ]
        told = self.generator.encode_text([prompt.text for prompt in prompts])
        repeated = torch.arange(len(prompts)).repeat_interleave(self.candidates).to(told.device)
        tokens, items = written_motions(self.generator, prompts, told.index(repeated), seeds)
        scores: list[float | None] = [None] * len(seeds)
        for place, judgement in self.judge.judge(items):
            scores[items[place].candidate] = judgement.score
        return [row.tolist() for row in tokens.rows()], scores


def written_motions(
    generator: TokenGenerator, prompts: Sequence[EventPrompt], told: Any, seeds: Sequence[int]
) -> tuple[MotionTokens, list[Item]]:
    """Motions of the generator as it is, as many of each prompt, those of a prompt consecutive.

    Args:
        told: what the generator reads, one for each of N motions. seeds: N, too.

    Returns:
        N rows of tokens on the CPU, and those that are motions, to be judged; `candidate` is their row.
    """
    many = len(seeds) // len(prompts)
    lengths = generator.frames(torch.tensor([prompt.seconds for prompt in prompts])).repeat_interleave(many)
    rows, items = dict[int, Tensor](), dict[int, Item]()
    for chosen, sampled in sample_batches(generator, told, lengths, seeds, batch=_BATCH):
        assert sampled.tokens is not None
        clips, codes = sampled.clips(), sampled.tokens.rows()
        for row, place in enumerate(chosen.tolist()):
            rows[place] = codes[row].cpu()
            if bool(sampled.usable[row]):
                joints = convert(clips[row][None].cpu(), generator.representation, JOINTS)[0].float()
                shaped = joints.reshape(len(joints), -1, 3).numpy()  # (T, 22, 3)
                items[place] = Item(prompts[place // many], place, shaped, generator.fps)
    tokens = MotionTokens.of([rows[place] for place in range(len(seeds))])
    return tokens, [items[place] for place in sorted(items)]
