"""Policy gradient on motion tokens: a group of motions a prompt is written and judged, and each token's probability moves
with how much better its motion did than the group (GRPO, Shao et al. 2024).

Probabilities are those of the distribution that was sampled from, guidance, mask and top-k included.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.finetuning.advantages import ADVANTAGES
from motionrft.finetuning.methods.grpo import GrpoPreset
from motionrft.finetuning.policy_losses import clipped_loss, reference_divergence
from motionrft.finetuning.token_pairs import BalancedStream
from motionrft.finetuning.token_rounds import written_motions
from motionrft.finetuning.token_trainer import TokenTrainer
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.preferences.judges.base import Judge
from motionrft.preferences.prompts import EventPrompt
from motionrft.training.fingerprints import text_hash
from motionrft.training.seeds import generator_for, item_seed

_AT_ONCE = 32


@dataclass(frozen=True)
class Episodes:
    """N motions of one batch of prompts, the motions of a prompt consecutive.

    rows: (N,) int64 whose prompts' they are. tokens: as written. lengths: (N,) frames asked for.
    scores, advantages: (N,); what the judge gave no score has the mean of its group. old: (N, M) log-probabilities.
    """

    rows: Tensor
    tokens: MotionTokens
    lengths: Tensor
    scores: Tensor
    advantages: Tensor
    old: Tensor

    def state_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("rows", "lengths", "scores", "advantages", "old")}
        return {**plain, "codes": self.tokens.codes, "counts": self.tokens.counts}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "Episodes":
        """What `state_dict` gave."""
        plain = {name: state[name] for name in ("rows", "lengths", "scores", "advantages", "old")}
        return cls(**plain, tokens=MotionTokens(state["codes"], state["counts"]))


class PolicyTrainer(TokenTrainer[int]):
    """Learns from what a judge says of its own motions; an item is a motion of the batch that was written last.

    Args:
        prompts: drawn from, each kind in equal parts. frozen: inside this context the generator is the untuned one.
        common: as `TokenTrainer` takes.

    Raises:
        UserError: no prompts, or a baseline that is not for tokens.
    """

    learnt_from = "prompts"

    def __init__(
        self,
        *common: Any,
        prompts: Sequence[EventPrompt],
        judge: Judge,
        frozen: Callable[[], AbstractContextManager[None]],
        **further: Any,
    ):
        super().__init__(*common, **further)
        assert isinstance(self.preset.method, GrpoPreset)
        self.method, self.judge, self.frozen = self.preset.method, judge, frozen
        self.drawn_from = list(prompts)
        if not prompts:
            raise UserError("grpo samples event prompts, and all of them are held out: name events.prompts.")
        if self.method.advantages not in ADVANTAGES:
            raise UserError(
                f"method.advantages {self.method.advantages} is for diffusion; of motion tokens there are "
                f"{', '.join(ADVANTAGES)}."
            )
        self.sampling = self.generator.sampling()
        kinds = [prompt.kind for prompt in prompts]
        identity = text_hash(*(f"{prompt.id} {prompt.text}" for prompt in prompts))
        self.stream = BalancedStream(kinds, self.at_once, self.preset.seed, identity)
        self.number = -1
        self.episodes: Episodes | None = None
        with torch.no_grad():
            told = self.generator.encode_text([prompt.text for prompt in prompts])
        self.told = told.to(self.generator.device)

    @property
    def size(self) -> int:
        return len(self.drawn_from)

    @property
    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.drawn_from]

    def batch(self, step: int) -> list[int]:
        """Motions of this update: all that were written, or one of `updates` shares of them, `epochs` times over."""
        number, place = divmod(step, self.method.updates_a_batch)
        if number != self.number:
            self.number, self.episodes = number, self._written(number)
        assert self.episodes is not None
        epoch, part = divmod(place, self.method.updates)
        draws = generator_for(self.preset.seed, "shares of a batch", number, epoch)
        order = torch.randperm(len(self.episodes.rows), generator=draws)
        return order.tensor_split(self.method.updates)[part].sort().values.tolist()

    @torch.no_grad()
    def _written(self, number: int) -> Episodes:
        """Batch `number`: written by the generator as it is, judged, and how likely each token was."""
        chosen, group = self.stream.next(), self.method.group
        rows = torch.tensor(chosen).repeat_interleave(group)  # (N,)
        shares = self.company.gather(self._judged(number, chosen))  # each process writes for its prompts
        tokens = MotionTokens.of([torch.tensor(codes) for written, _ in shares for codes in written])
        scores = torch.tensor([score for _, scores in shares for score in scores])  # (N,)
        means = scores.view(-1, group).nanmean(1).repeat_interleave(group)
        filled = torch.where(scores.isnan(), means, scores).nan_to_num(0.0)
        seconds = torch.tensor([self.drawn_from[row].seconds for row in chosen])
        lengths = self.generator.frames(seconds)
        episodes = Episodes(
            rows, tokens, lengths.repeat_interleave(group), filled,
            ADVANTAGES[self.method.advantages](filled, group), torch.zeros(len(rows), 0),
        )  # fmt: skip
        parts = [
            self._log_prob(episodes, list(part)).each for part in torch.arange(len(rows)).split(_AT_ONCE)
        ]
        return Episodes(**{**vars(episodes), "old": torch.cat(parts).cpu()})

    def _judged(self, number: int, chosen: Sequence[int]) -> tuple[list[list[int]], list[float]]:
        """Codes and scores, NaN for none, of the motions of this process's prompts."""
        own = range(len(chosen))[self.company.rows(len(chosen))]
        if not own:
            return [], []
        prompts, group = [self.drawn_from[chosen[place]] for place in own], self.method.group
        seeds = [item_seed(self.preset.seed, number, row, place) for row in own for place in range(group)]
        rows = torch.tensor([chosen[place] for place in own]).repeat_interleave(group)
        told = self.told.index(rows.to(self.told.device))
        tokens, items = written_motions(self.generator, prompts, told, seeds)
        scores = [float("nan")] * len(seeds)
        for place, judgement in self.judge.judge(items):
            if judgement.score is not None:
                scores[items[place].candidate] = judgement.score
        return [row.tolist() for row in tokens.rows()], scores

    def _log_prob(self, episodes: Episodes, items: Sequence[Any]) -> Any:
        places = torch.as_tensor(items)
        rows = episodes.rows[places].to(self.told.device)
        tokens = episodes.tokens.index(places)
        with self.autocast():
            return self.generator.drawn_log_prob(
                self.told.index(rows),
                tokens.to(self.generator.device),
                episodes.lengths[places],
                self.sampling,
            )

    def weight(self, items: Sequence[int]) -> float:
        """Motions that are better or worse than their group; where all are as good as it there is nothing to weigh."""
        assert self.episodes is not None
        return max(float((self.episodes.advantages[list(items)] != 0).sum()), 1e-9)

    def loss(self, items: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """() mean over motions with an advantage of the mean over their tokens; what to log, () each, detached."""
        episodes, method = self.episodes, self.method
        assert episodes is not None
        device, places = self.generator.device, torch.as_tensor(items)
        now = self._log_prob(episodes, items)
        old, advantages = (
            episodes.old[places].to(device),
            episodes.advantages[places].to(device),
        )  # (B, M), (B,)
        with torch.no_grad(), self.frozen():
            untuned = self._log_prob(episodes, items)
        told = advantages[:, None].expand_as(old)[now.mask]  # (S,)
        policy = clipped_loss(
            now.each[now.mask],
            old[now.mask],
            told,
            method.clip_range("tokens"),
            method.advantage_clip,
            told != 0,
        )
        divergence = reference_divergence(now.each, untuned.each)  # (B, M), 0 where nothing was drawn
        gained = torch.zeros_like(now.each).masked_scatter(now.mask, policy.loss)
        drawn, taught = now.counts.clamp_min(1), (advantages != 0).to(old.dtype)  # (B,)
        count = taught.sum().clamp_min(1)
        drift = (divergence.sum(-1) / drawn * taught).sum() / count  # nats a token
        loss = (gained.sum(-1) / drawn * taught).sum() / count + method.kl * drift
        numbers = {
            "loss": loss, "kl": policy.approximate_kl, "clipped": policy.clipped_share, "ratio": policy.mean_ratio,
            "drift": drift, "taught": taught.mean(),
        }  # fmt: skip
        return loss, {name: value.detach().float() for name, value in numbers.items()}

    def logged(self) -> dict[str, Any]:
        assert self.episodes is not None
        return {"reward": float(self.episodes.scores.mean())}

    def place(self) -> dict[str, Any]:
        held = None if self.episodes is None else self.episodes.state_dict()
        return {"stream": self.stream.state_dict(), "number": self.number, "episodes": held}

    def go_to(self, place: dict[str, Any]) -> None:
        self.stream.load_state_dict(place["stream"])
        self.number = place["number"]
        self.episodes = None if place["episodes"] is None else Episodes.of_state(place["episodes"])
