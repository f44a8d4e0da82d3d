"""How much of the true gradient one policy-gradient estimate holds: python -m tests.benchmarks.policy_gradient

On the built-in generator, 10 DDIM steps with eta 1 and no guidance, reward of text and motion alone. The true gradient
of the expected reward of PROMPTS prompts comes from back-propagation through whole trajectories, averaged over batches
of other noise; an estimate is what one update of DDPO or GRPO takes from 48 samples of the same prompts. The square of
the cosine is what samples are worth. About ten seconds of one thread an estimate.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.plan import sampling_plan
from motionrft.finetuning import policy
from motionrft.finetuning.methods.base import plan_of
from motionrft.finetuning.methods.ddpo import DdpoPreset
from motionrft.finetuning.methods.draft import DraftPreset
from motionrft.finetuning.methods.grpo import GrpoPreset
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneRun
from motionrft.finetuning.session import FinetuneSession
from motionrft.finetuning.trajectory import updates

STEPS, SAMPLES, PROMPTS, BATCHES = 10, 48, 12, 6
TRUE = 1000
"""Batches from this number on have noise of their own for the true gradient."""
AT_ONCE = 12
"""Whole trajectories under autograd at a time."""
AUTHORS: dict[str, Any] = {"group": 1, "advantages": "batch", "weight": "equal", "cut": None}
VARIANTS: dict[str, DdpoPreset] = {
    "ddpo, defaults": DdpoPreset(),
    "grpo, defaults without its pull": GrpoPreset(kl=0),
    "grpo, variant dance": GrpoPreset(variant="dance"),
    "batch baseline, all positions alike (ddpo-pytorch)": DdpoPreset(**AUTHORS),
    "batch baseline, without the steepest": DdpoPreset(**{**AUTHORS, "cut": 3.0}),
    "batch baseline, weighted by deviation": DdpoPreset(**{**AUTHORS, "weight": "deviation"}),
    "two samples a prompt, all positions alike": DdpoPreset(group=2, weight="equal", cut=None),
    "two samples a prompt, without the steepest": DdpoPreset(group=2, weight="equal"),
    "two samples a prompt, weighted by deviation": DdpoPreset(group=2, cut=None),
    "two samples a prompt, both": DdpoPreset(group=2),
    "four samples a prompt, weighted by s / b": DdpoPreset(weight="gain"),
    "eight samples of six of the prompts, both": DdpoPreset(group=8),
    "a prompt's history of rewards (met once)": DdpoPreset(group=1, advantages="history"),
}


class Gradients:
    """Gradients of the untuned built-in generator, by its own objectives."""

    def __init__(self, sampler: str | None = None) -> None:
        preset = FinetunePreset.of(
            {
                "method": {"method": "ddpo"},
                "steps": STEPS,
                "sampler": sampler,
                "eta": None if sampler else 1.0,
                "guidance": 1.0,
                "weights": {"semantic": 1.0},
                "watch": {"every": 0},
                "evaluation": {"prompts": 0},
            },
            "policy_gradient",
        )
        self.run = FinetuneRun(preset, FinetuneSession(Path("unused"), torch.device("cpu")))
        order = torch.randperm(len(self.run.parts.prompts), generator=torch.Generator().manual_seed(0))
        self.prompts = order[:PROMPTS]

    def true(self, batches: int = BATCHES) -> Tensor:
        """The reward's gradient through whole trajectories, the mean over batches."""
        method = DraftPreset(k=STEPS)
        context = replace(self.run.trainer.context, method=method)
        plan = plan_of(method, STEPS, 1.0, Random(0))
        found = []
        for number in range(batches):
            next(updates(context, self._batch(number + TRUE, 1, AT_ONCE), plan, Random(0)))
            found.append(self._taken())
        return torch.stack(found).mean(0)

    def estimates(self, method: DdpoPreset, batches: int = BATCHES) -> Iterator[Tensor]:
        """What one update of a method takes from SAMPLES samples, batch by batch."""
        context = replace(self.run.trainer.context, method=method)
        for number in range(batches):
            chosen = self._batch(number, method.group)
            next(policy.updates(context, chosen, sampling_plan(STEPS), Random(number)))
            yield self._taken()

    def _batch(self, number: int, group: int, size: int | None = None) -> Sequence[Any]:
        """The prompts as often as makes SAMPLES samples in groups, each time met anew, with its own noise."""
        times = max(1, SAMPLES // group // PROMPTS)
        items = self.prompts[: SAMPLES // group].repeat(times)
        visits = torch.arange(times).repeat_interleave(len(items) // times) + 100 * number
        return self.run.trainer.prepared.micro_batches(items, visits, size)

    def _taken(self) -> Tensor:
        taken = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self.run.trainer.parameters.values()
        ]
        self.run.trainer.optimiser.zero_grad()
        return torch.cat([gradient.flatten() for gradient in taken])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=BATCHES, help="estimates")
    parser.add_argument(
        "--true", type=int, help="batches of the true gradient; as many as estimates unless told"
    )
    parser.add_argument("--rows", default="", help="only rows whose name holds this")
    parser.add_argument("--sampler", help="another sampler than DDIM with eta 1")
    parser.add_argument("--keep", type=Path, help="folder that policy-gradient.json is written to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gradients = Gradients(options.sampler)
    batches = options.true or options.batches
    true, kept = gradients.true(batches), {}
    print("| one estimate of 48 samples | cosine with the true gradient | seconds each |\n|---|---|---|")
    for name in (name for name in VARIANTS if options.rows in name):
        method = VARIANTS[name]
        began = time.process_time()
        found = [
            float(torch.cosine_similarity(estimate, true, dim=0))
            for estimate in gradients.estimates(method, options.batches)
        ]
        seconds = (time.process_time() - began) / options.batches
        spread = statistics.stdev(found) / len(found) ** 0.5
        print(f"| {name} | {statistics.fmean(found):.3f} ± {spread:.3f} | {seconds:.1f} |", flush=True)
        kept[name] = {"mean": statistics.fmean(found), "error": spread, "each": found}
        if options.keep:
            told = {"samples": SAMPLES, "true_batches": batches, "cosines": kept}
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / "policy-gradient.json").write_text(
                json.dumps(told, indent=1) + "\n", encoding="utf-8"
            )


if __name__ == "__main__":
    main()
