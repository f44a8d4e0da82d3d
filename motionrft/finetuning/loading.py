"""Everything a run reads, found and named before any of it is loaded: generator, reward, evaluator,
prompts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.data.prompts import read_prompts
from motionrft.errors import UserError
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.finetuning.methods.base import usable_methods
from motionrft.finetuning.pairs import read_pair_prompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet, from_dataset, from_texts
from motionrft.generators.base import Generator
from motionrft.loading import generator_identity, load_generator, load_reward, reward_identity
from motionrft.reward.base import Reward
from motionrft.training.fingerprints import path_hash, text_hash

PER_LABEL = 12
"""Held-out items of one kind of motion at most: kinds can be very uneven."""


@dataclass(frozen=True)
class HeldOut:
    """Items that nothing is tuned on, and who judges what is made of them."""

    items: FixedItems
    evaluator: Evaluator


@dataclass(frozen=True)
class Parts:
    """What a run works with, on its device.

    validation, held_out: items for the watch and for the tables, None where there is nothing to look at.
    source: items of the data set that the generator comes from, where the preset asks what was forgotten.
    """

    generator: Generator
    reward: Reward
    prompts: PromptSet
    evaluator: Evaluator | None
    validation: FixedItems | None
    held_out: FixedItems | None
    source: HeldOut | None = None


def identities(preset: FinetunePreset) -> dict[str, str]:
    """Hashes of what the run reads, for `env.json` and for `--resume`.

    Raises:
        UserError: something is not there.
    """
    found = {"generator": generator_identity(preset.generator)}
    if set(preset.weights) - {name for name, weight in preset.weights.items() if not weight}:
        found["reward"] = reward_identity(preset.reward, preset.weights)
    if preset.pairs is not None:
        if not Path(preset.pairs).exists():
            raise UserError(f"{preset.pairs}: no such file of pairs.")
        found["data"] = path_hash(preset.pairs)
    elif preset.prompts is not None:
        found["data"] = text_hash(*read_prompts(Path(preset.prompts)))
    elif preset.data is not None:
        found["data"] = MotionDataset(preset.data, preset.split).identity
    else:
        found["data"] = text_hash(*(f"{p.text} {p.frames}" for p in builtin.prompts()))
    return found


def load_parts(
    preset: FinetunePreset, device: torch.device, say: Callable[[str], None] = lambda _: None
) -> Parts:
    """Load everything; `say` is told what will not be looked at.

    Raises:
        UserError: something is missing, damaged, or does not fit together.
    """
    generator = load_generator(preset.generator, device)
    reward = load_reward(
        preset.reward, preset.weights, generator.representation, fps=generator.fps, device=device
    )
    _check_gradient(preset, reward)
    evaluator, validation, held_out = None, None, None
    if preset.watch.every or preset.evaluation.prompts:
        evaluator = load_evaluator(builtin.resolve(preset.evaluator, "evaluator"), device)
        validation = _items(preset, evaluator, generator.fps, preset.validation_split, preset.watch.prompts)
        held_out = _items(
            preset, evaluator, generator.fps, preset.evaluation.split, preset.evaluation.prompts
        )
        if validation is None and held_out is None:
            say(f"fewer than {CANDIDATES} prompts: no watch and no table of before and after")
    prompts, source = load_prompts(preset, generator), _source(preset, evaluator, device)
    return Parts(generator, reward, prompts, evaluator, validation, held_out, source)


def _source(preset: FinetunePreset, evaluator: Evaluator | None, device: torch.device) -> HeldOut | None:
    """The held-out items of the source, with its own evaluator or the target's."""
    part = preset.evaluation
    if part.source is None or not part.prompts:
        return None
    if part.source_evaluator is not None:
        evaluator = load_evaluator(builtin.resolve(part.source_evaluator, "evaluator"), device)
    assert evaluator is not None, "an evaluator is loaded wherever prompts are held out"
    return HeldOut(_of_data(part.source, part.split, evaluator).subset(part.prompts), evaluator)


def _of_data(data: str, split: str, evaluator: Evaluator) -> FixedItems:
    """Held-out items of a data set, or the built-in ones."""
    if data == builtin.NAME:
        items = FixedItems.load(builtin.items_path(split))
        items.check_evaluator(evaluator)
        return items
    return FixedItems.of_dataset(MotionDataset(data, split), evaluator, per_label=PER_LABEL)


def _check_gradient(preset: FinetunePreset, reward: Reward) -> None:
    """Refuse a method that differentiates a reward which gives no gradient."""
    if reward.differentiable or "gradient" not in preset.method.needs:
        return
    others = [
        name
        for name, method in usable_methods().items()
        if "reward" in method.preset.needs and "gradient" not in method.preset.needs
    ]
    raise UserError(
        f"{preset.method.method} follows the reward's gradient, and this reward gives none: use a method that needs "
        f"none ({', '.join(others)})."
    )


def load_prompts(preset: FinetunePreset, generator: Generator) -> PromptSet:
    """The prompts to tune on: a file's, a data set's, or the built-in ones."""
    if preset.pairs is not None:
        return read_pair_prompts(Path(preset.pairs), generator)
    if preset.prompts is not None:
        texts = read_prompts(Path(preset.prompts))
        return from_texts(texts, generator, torch.full((len(texts),), prompt_seconds(preset, generator.fps)))
    if preset.data is not None:
        return from_dataset(MotionDataset(preset.data, preset.split), generator, preset.seed)
    prompts = builtin.prompts()
    frames = generator.frames(torch.tensor([prompt.frames for prompt in prompts]) / builtin.FPS)
    labels = _numbered(prompt.label for prompt in prompts)
    return PromptSet([prompt.text for prompt in prompts], frames, labels)


def prompt_seconds(preset: FinetunePreset, fps: float) -> float:
    """Length of prompts that say none; `fps` is the generator's."""
    return preset.seconds if preset.frames is None else preset.frames / fps


def _items(
    preset: FinetunePreset, evaluator: Evaluator, fps: float, split: str, count: int
) -> FixedItems | None:
    """Held-out items. A prompt file has none but its own prompts; where those are too few to rank, the
    built-in items serve, if the built-in evaluator judges.
    """
    if not count:
        return None
    if preset.evaluation.data is not None:
        return _of_data(preset.evaluation.data, split, evaluator).subset(count)
    if preset.prompts is not None:
        texts = read_prompts(Path(preset.prompts))
        if len(texts) >= CANDIDATES:
            return FixedItems.of_prompts(texts, [prompt_seconds(preset, fps)] * len(texts)).subset(count)
        if preset.evaluator != builtin.NAME:
            return None
    return _of_data(preset.data or builtin.NAME, split, evaluator).subset(count)


def _numbered(labels: Iterable[str | None]) -> torch.Tensor | None:
    names = list(labels)
    if any(name is None for name in names):
        return None
    order = {name: number for number, name in enumerate(sorted({str(name) for name in names}))}
    return torch.tensor([order[str(name)] for name in names])
