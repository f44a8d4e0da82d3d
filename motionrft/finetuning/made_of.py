"""All that the numbers of a run's evaluations depend on, as JSON values: where it is the same, they are the same."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from motionrft import __version__, builtin
from motionrft.data.folder import MotionDataset
from motionrft.finetuning.held_out import TestSet
from motionrft.finetuning.loading import identities
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.session import GENERATOR
from motionrft.generators.text_to_motion import Sampling
from motionrft.preferences.judges.base import Judge
from motionrft.preferences.prompts import EventPrompt
from motionrft.training.fingerprints import file_hash
from motionrft.training.weights import TENSORS


class MadeOf:
    """Of one run's evaluations, whose tuned generator is saved. Files are hashed once.

    Args:
        run: the run's folder. device: `cpu` or `cuda`.
    """

    def __init__(self, preset: FinetunePreset, run: Path, device: str):
        self.preset, self.run, self.device = preset, run, device

    def sampled(self, name: str, seeds: Sequence[int], sampling: Sampling) -> dict[str, Any]:
        """The motions; `before` are the start's, `after` those of the generator that was saved."""
        return {
            "generator": self._read["generator"] if name == "before" else self._tuned,
            "text features": self._read.get("text"),
            "sampling": sampling.plain(),
            "seeds": list(seeds),
            "device": self.device,
            "version": __version__,
        }

    def judged(self, test: TestSet) -> dict[str, Any]:
        """Items and their evaluator; of data sets also the real motions that FID compares with."""
        items = test.items
        return {
            "evaluator": test.evaluator.identity,
            "items": [items.identity, items.split],
            "data": self._data,
        }

    def rewarded(self) -> dict[str, Any]:
        """The reward and its terms' weights."""
        preset, read = self.preset, self._read
        return {
            "reward": [read.get("reward"), preset.reward_rank, preset.weights],
            "balance": read["data"] if preset.balance else None,
        }

    @cached_property
    def _read(self) -> dict[str, str]:
        return identities(self.preset)

    @cached_property
    def _tuned(self) -> str:
        return file_hash(self.run / GENERATOR / TENSORS)

    @cached_property
    def _data(self) -> dict[str, str]:
        part = self.preset.evaluation
        target = part.data or (None if self.preset.prompts else self.preset.data)
        named = [data for data in (target, part.source) if data not in (None, *builtin.NAMES)]
        return {str(data): MotionDataset(str(data), part.split).identity for data in named}


def made_of_events(judge: Judge, prompts: Sequence[EventPrompt]) -> dict[str, Any]:
    """Event prompts and who judges them."""
    return {"judge": [judge.name, judge.identity], "prompts": [asdict(prompt) for prompt in prompts]}
