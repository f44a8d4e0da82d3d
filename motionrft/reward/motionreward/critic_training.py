"""Stages 2 and 3: adapters and heads for preference and authenticity, on the frozen motion tower.

Lengths are the clips' own. (The published critics were trained with all 196 frames of the window declared valid, and
the published authenticity labels can be read off the lengths.)
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft.reward.classification import authenticity_metrics, preference_metrics
from motionrft.reward.motionreward.adapters import Critic, ranking_loss
from motionrft.reward.motionreward.clips import Clip, Pair, batch_of
from motionrft.reward.motionreward.fakes import Labelled
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.preset import CriticPart
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.optimiser import Optimiser
from motionrft.training.seeds import generator_for


class CriticTrainer:
    """What both stages share: which clips a step sees, in which representation, and the update.

    Args:
        reward: its tower stays as it is; the critic is trained in place.
        critic: on the reward's device.
    """

    def __init__(
        self,
        reward: MotionReward,
        critic: Critic,
        preset: CriticPart,
        seed: int,
        company: Distribution = ALONE,
    ) -> None:
        self.company = company
        self.reward, self.critic, self.preset, self.seed = reward, critic, preset, seed
        self.device = next(reward.network.parameters()).device
        reward.network.requires_grad_(False)
        reward.critic_tower.requires_grad_(False).train()  # dropout stays active, as published
        critic.requires_grad_(True).train()
        self.optimiser = Optimiser(critic, preset.optimiser, total=preset.updates, company=self.company)

    def state_dict(self) -> dict[str, Any]:
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.critic.load_state_dict(
            state["critic"] if "critic" in state else state["judge"]
        )  # its first name
        self.optimiser.load_state_dict(state["optimiser"])

    def answers(self, clips: Sequence[Clip], name: str) -> Tensor:
        """(B, outputs) of the critic; each process asks it about its share of the clips."""
        own = clips[self.company.rows(len(clips))]
        answers = answer_clips(self.reward, self.critic, own, name, self.device)
        return self.company.joined(answers, self.company.sizes(len(clips)))

    def rows(self, count: int, step: int) -> list[int]:
        """Items of a step."""
        draws = generator_for(self.seed, "judge", step)
        return torch.randperm(count, generator=draws)[: self.preset.batch].tolist()

    def descend(self, loss: Tensor) -> dict[str, Any]:
        """Backward and step."""
        loss.backward()
        return {"loss": loss.detach(), **self.optimiser.step()}


class PreferenceTrainer(CriticTrainer):
    """Ranking loss on pairs; the representation changes from update to update."""

    def __init__(
        self,
        reward: MotionReward,
        critic: Critic,
        pairs: Sequence[Pair],
        preset: CriticPart,
        seed: int,
        company: Distribution = ALONE,
    ) -> None:
        super().__init__(reward, critic, preset, seed, company)
        self.pairs = {name: [pair for pair in pairs if name in pair.better] for name in _names(reward, pairs)}

    def update(self, step: int) -> dict[str, Any]:
        """One optimiser update."""
        name = list(self.pairs)[step % len(self.pairs)]
        here = self.pairs[name]
        chosen = [here[row] for row in self.rows(len(here), step)]
        clips = [pair.better for pair in chosen] + [pair.worse for pair in chosen]
        better, worse = self.answers(clips, name)[:, 0].chunk(2)  # (B,) each
        metrics = {"accuracy": (better > worse).float().mean()}
        return metrics | self.descend(ranking_loss(better, worse))


class AuthenticityTrainer(CriticTrainer):
    """Two-class cross entropy; class 0 real, 1 generated."""

    def __init__(
        self,
        reward: MotionReward,
        critic: Critic,
        clips: Sequence[Labelled],
        preset: CriticPart,
        seed: int,
        company: Distribution = ALONE,
    ) -> None:
        super().__init__(reward, critic, preset, seed, company)
        names = [name for name in reward.network.size.representations if any(name in c.clip for c in clips)]
        self.clips = {name: [clip for clip in clips if name in clip.clip] for name in names}

    def update(self, step: int) -> dict[str, Any]:
        """One optimiser update."""
        name = list(self.clips)[step % len(self.clips)]
        here = self.clips[name]
        chosen = [here[row] for row in self.rows(len(here), step)]
        logits = self.answers([item.clip for item in chosen], name)  # (B, 2)
        labels = torch.tensor([item.label for item in chosen], device=self.device)  # (B,)
        metrics = {"accuracy": (logits.argmax(-1) == labels).float().mean()}
        return metrics | self.descend(F.cross_entropy(logits, labels))


def answer_clips(
    reward: MotionReward, critic: Critic, clips: Sequence[Clip], name: str, device: torch.device
) -> Tensor:
    """(B, outputs) of a critic about de-normalised clips in one representation."""
    motion, lengths = batch_of(clips, name, device)  # (B, T, F), (B,)
    return critic(reward.critic_tower, reward.normalise(motion, lengths, name), lengths, name)  # (B, outputs)


@torch.no_grad()
def answer_all(reward: MotionReward, critic: Critic, clips: Sequence[Clip], name: str) -> Tensor:
    """(N, outputs) of a critic in eval mode, clips of like length together."""
    reward.critic_tower.eval()
    critic.eval()
    device = next(reward.network.parameters()).device
    order = sorted(range(len(clips)), key=lambda number: len(clips[number][name]))
    parts = [order[start : start + 64] for start in range(0, len(order), 64)]
    found = torch.cat(
        [answer_clips(reward, critic, [clips[i] for i in part], name, device) for part in parts]
    )
    return found[torch.tensor(order, device=device).argsort()].float().cpu()  # (N, outputs)


def preference_report(
    reward: MotionReward, critic: Critic, pairs: Sequence[Pair]
) -> dict[str, dict[str, float]]:
    """Per representation: accuracy, precision, recall, F1 over all pairs, and the accuracy of each kind of fault."""
    report = {}
    for name in _names(reward, pairs):
        here = [pair for pair in pairs if name in pair.better]
        better, worse = (
            answer_all(reward, critic, clips, name)[:, 0]
            for clips in ([pair.better for pair in here], [pair.worse for pair in here])
        )
        report[name] = preference_metrics(better, worse)
        for kind in sorted({pair.kind for pair in here}):
            rows = torch.tensor([pair.kind == kind for pair in here])  # (N,) bool
            report[name][f"acc/{kind}"] = (better > worse)[rows].double().mean().item()
    return report


def authenticity_report(
    reward: MotionReward, critic: Critic, clips: Sequence[Labelled]
) -> dict[str, dict[str, float]]:
    """Per representation: accuracy, precision, recall, F1 and the confusion; generated is the positive class."""
    report = {}
    for name in reward.network.size.representations:
        here = [item for item in clips if name in item.clip]
        if here:
            logits = answer_all(reward, critic, [item.clip for item in here], name)  # (N, 2)
            report[name] = authenticity_metrics(logits, torch.tensor([item.label for item in here]))
    return report


def _names(reward: MotionReward, pairs: Sequence[Pair]) -> list[str]:
    """Representations that both the reward and the pairs have."""
    return [
        name for name in reward.network.size.representations if any(name in pair.better for pair in pairs)
    ]
