"""How long a run is: updates, or passes over its prompts, whichever ends first. Free of torch."""

import math
import random

from motionrft.diffusion.plan import updates
from motionrft.finetuning.methods.base import MethodPreset, method_named, plan_of
from motionrft.finetuning.preset import FinetunePreset


def planned_updates(preset: FinetunePreset, prompts: int, processes: int = 1) -> int | None:
    """Optimiser updates of a run over so many prompts; None where a time limit alone ends it."""
    limits = [] if preset.updates is None else [preset.updates]
    if preset.epochs is not None:
        batches = math.ceil(preset.epochs * prompts / (preset.batch * processes))
        limits.append(batches * updates_a_batch(preset.method, preset.steps))
    return min(limits, default=None)


def updates_a_batch(method: MethodPreset, steps: int) -> int:
    """Optimiser updates that one batch of prompts makes; a method that draws its plan may now and then make fewer."""
    if not method_named(method.method).follows_plan:
        return method.updates_a_batch
    return max(1, updates(plan_of(method, steps, 1.0, random.Random(0))))
