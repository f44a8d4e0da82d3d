"""The paper's diagnostics on any generator and reward: why step-aware tuning works, in three charts.

- `gradients` (Fig. 4): how much gradient reaches each denoising step, through the chain of all later steps
  and without.
- `similarity` (Fig. 5): how near the states and the clean predictions of each step are to the finished
  motion.
- `memory` (Fig. 6): bytes held for backward against the number of denoising steps, method by method.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import torch
from torch import Tensor

from motionrft.diffusion.plan import StepPlan, sampling_plan
from motionrft.diffusion.rollout import Start, rollout, sample
from motionrft.errors import UserError
from motionrft.finetuning.methods.base import MethodPreset, plan_of, usable_methods
from motionrft.finetuning.run import FinetuneRun
from motionrft.finetuning.trajectory import updates
from motionrft.report.content import Series

STEPS = (10, 25, 50, 100)
MIB = 2**20


@dataclass
class Recorded:
    """A generator that remembers its predictions, and lets gradients stop at them."""

    generator: Any
    predictions: list[Tensor] = field(default_factory=list)

    def predict(self, *arguments: Any) -> Tensor:
        prediction = self.generator.predict(*arguments)
        if prediction.requires_grad:
            prediction.retain_grad()
        self.predictions.append(prediction)
        return prediction

    def __getattr__(self, name: str) -> Any:
        return getattr(self.generator, name)


def gradients(tuning: FinetuneRun, batch: int = 4) -> list[Series]:
    """Norm of the reward's gradient at each step's prediction, mean over the batch."""
    start, context = _start(tuning, batch), tuning.trainer.context
    count = context.process.steps
    chain = tuple(
        StepPlan(graph=True, reward="next" if i == count - 1 else None, last=i == count - 1)
        for i in range(count)
    )
    alone = (StepPlan(graph=True, detach="all", reward="x0"),) * count
    series = []
    for name, plan in (("through all later steps", chain), ("each step alone", alone)):
        recorded = Recorded(context.generator)
        for visit in rollout(recorded, context.process, start, plan, context.guidance, context.reward):
            if visit.reward is not None:
                visit.reward.sum().backward()
        norms = [_norm(p.grad) for p in recorded.predictions]
        tuning.trainer.optimiser.zero_grad()
        series.append(_by_step("Gradient at each denoising step", name, norms))
    return series


def similarity(tuning: FinetuneRun, batch: int = 16) -> list[Series]:
    """Cosine of the reward's embeddings: each step's next state and clean prediction against the finished
    motion.
    """
    start, context = _start(tuning, batch), tuning.trainer.context
    reward, generator = tuning.parts.reward, context.generator
    with torch.no_grad():
        end = sample(generator, context.process, start, context.guidance)
        texts = tuning.parts.prompts.texts[: len(start.lengths)]
        finished = reward.prepare(texts, generator.decode(end, start.lengths, start.frames), start.lengths)
        if finished.reference is None:
            raise UserError(
                "--diagnose similarity: no reference is compared with; set weights.similarity to more than 0."
            )
        near: dict[str, list[float]] = {"next state": [], "clean prediction": []}
        plan = sampling_plan(context.process.steps)
        for visit in rollout(generator, context.process, start, plan, context.guidance):
            for name, state in (("next state", visit.step.sample), ("clean prediction", visit.step.x0)):
                motion = generator.decode(state, start.lengths, start.frames)
                _, terms = reward(motion, start.lengths, finished, 0)
                near[name].append(float(terms["similarity"].mean()))
    return [_by_step("Similarity to the finished motion", name, values) for name, values in near.items()]


def memory(
    tuning: FinetuneRun, batch: int = 4, steps: Sequence[int] = STEPS, names: Collection[str] | None = None
) -> list[Series]:
    """Bytes held for backward by one trajectory of every method whose plan judges (or of those named), for several
    numbers of steps.
    """
    series = []
    for name, method in usable_methods().items():
        if method.follows_plan and (names is None or name in names):
            held = [_held(tuning, _largest(method.preset, count), count, batch) / MIB for count in steps]
            chart = "Bytes held for backward"
            series.append(Series(chart, name, list(steps), held, "MiB", "denoising steps", from_zero=True))
    return series


DIAGNOSTICS: dict[str, Callable[[FinetuneRun], list[Series]]] = {
    "gradients": gradients,
    "similarity": similarity,
    "memory": memory,
}


def _held(tuning: FinetuneRun, method: MethodPreset, steps: int, batch: int) -> int:
    process = tuning.generator.process_with(replace(tuning.sampling, steps=steps))
    context = replace(tuning.trainer.context, process=process, method=method)
    micro_batches = tuning.trainer.prepared.micro_batches(_items(tuning, batch), 0, None)
    context.meter.reset()
    with context.meter:
        for _ in updates(context, micro_batches, plan_of(method, steps, 1.0, Random(0)), Random(0)):
            tuning.trainer.optimiser.zero_grad()
    return context.meter.peak


def _largest(preset: type[MethodPreset], steps: int) -> MethodPreset:
    """The method at its defaults, its k and m fitted to the trajectory; DRaFT through all of it."""
    fields = preset.model_fields
    fitted = {name: min(fields[name].default, steps) for name in ("k", "m") if name in fields}
    if "copies" in fields:
        fitted["k"] = steps
    return preset(**fitted)


def _start(tuning: FinetuneRun, batch: int) -> Start:
    return tuning.trainer.prepared.micro_batches(_items(tuning, batch), 0, None)[0].start


def _items(tuning: FinetuneRun, batch: int) -> Tensor:
    """(B,) the first prompts, all of them where there are fewer."""
    return torch.arange(min(batch, len(tuning.parts.prompts)))


def _norm(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None else float(gradient.flatten(1).norm(dim=1).mean())


def _by_step(chart: str, name: str, values: Sequence[float]) -> Series:
    return Series(
        chart, name, list(range(len(values))), list(values), x_label="denoising step, noisiest first"
    )
