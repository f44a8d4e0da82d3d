"""Sampling many prompts: noise per item, batches of like lengths, results that do not depend on the batch."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from motionrft.diffusion.rollout import Start
from motionrft.diffusion.rollout import sample as walk_process
from motionrft.diffusion.sampler import sampler_named
from motionrft.generators.base import Condition, Generator
from motionrft.generators.sampling_settings import SamplingSettings
from motionrft.moving import moved
from motionrft.registry import SAMPLERS
from motionrft.training.seeds import item_seed


def sample(
    generator: Generator,
    condition: Condition,
    lengths: Tensor,
    seeds: Sequence[int],
    sampling: SamplingSettings | None = None,
    batch: int = 32,
    precision: torch.dtype | None = None,
) -> Tensor:
    """Motions of N prompts, without gradient. Arguments as `sample_batches`.

    Returns:
        (N, max(lengths), D) in `generator.representation`, de-normalised, zero beyond each length.
    """
    frames = int(lengths.max())
    items, motions = [], []
    for chosen, motion in sample_batches(generator, condition, lengths, seeds, sampling, batch, precision):
        items.append(chosen)
        motions.append(torch.nn.functional.pad(motion, (0, 0, 0, frames - motion.shape[1])))
    order = torch.cat(items).argsort()
    return torch.cat(motions)[order.to(motions[0].device)]


def sample_batches(
    generator: Generator,
    condition: Condition,
    lengths: Tensor,
    seeds: Sequence[int],
    sampling: SamplingSettings | None = None,
    batch: int = 32,
    precision: torch.dtype | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Sample batch by batch, as results come.

    Args:
        condition: of the N prompts; lengths: (N,) frames wanted.
        seeds: N numbers; an item's noise depends on its own alone (see `motionrft.training.seeds.item_seed`).
        sampling: of this generator (`Generator.sampling`); None stands for its own choice.
        batch: items computed at once; the result does not depend on it beyond float rounding.
        precision: bfloat16 or float16 for the network's arithmetic (autocast); states and decoding stay in float32.

    Yields:
        (items, motions): positions (b,) int64 among the N, and (b, T, D) de-normalised, T the batch's
            longest.
    """
    walk = _walker(generator, sampling or generator.sampling())
    device, lengths = generator.device, lengths.cpu()
    for items in batches(lengths, batch, generator.sees_padding):
        noise = ItemNoise(generator, lengths[items], [seeds[i] for i in items.tolist()], device)
        chosen = moved(lengths[items], device)
        prompts = condition.index(moved(items, condition.text.tokens.device))
        start = Start(noise.draw(), prompts, chosen, draw=noise.draw)
        with torch.no_grad():
            with torch.autocast(device.type, precision, enabled=precision is not None):
                state = walk(start).float()
            motion = generator.decode(state, chosen, int(lengths[items].max()))
        yield items, motion  # outside no_grad, which would otherwise hold for the caller between two batches


def _walker(generator: Generator, sampling: SamplingSettings) -> Callable[[Start], Tensor]:
    """From a start to the clean state (B, ...): by a process, or as a sampler without one solves it."""
    guidance, name = sampling.guidance, sampling.sampler
    solve = sampler_named(name).solve if name is not None and name in SAMPLERS else None
    if solve is not None:
        return lambda start: solve(
            lambda t, x: generator.predict(x, t, start.condition, start.lengths, guidance),  # type: ignore[arg-type]
            start.noise,
        )
    process = generator.process_with(sampling)
    return lambda start: walk_process(generator, process, start, guidance)


def prompt_seeds(seed: int, texts: Sequence[str]) -> list[int]:
    """A seed a prompt, from the prompt and how often it came before: its motion depends on nothing else."""
    seen: Counter[str] = Counter()
    seeds = []
    for text in texts:
        seeds.append(item_seed(seed, text, seen[text]))
        seen[text] += 1
    return seeds


def batches(lengths: Tensor, batch: int, equal_lengths: bool) -> Iterator[Tensor]:
    """Positions of the items of each batch: neighbours in length, or only equals where padding would be seen."""
    order = lengths.argsort(descending=True, stable=True)
    start = 0
    while start < len(order):
        end = min(start + batch, len(order))
        if equal_lengths:
            while lengths[order[end - 1]] != lengths[order[start]]:
                end -= 1
        yield order[start:end]
        start = end


class ItemNoise:
    """Standard normal noise of a batch, each item from its own random generator and in its own shape.

    Numbers are drawn on the CPU and moved, so every device starts from the same noise.

    Args:
        lengths: (B,) frames, on the CPU.
        seeds: one an item.
    """

    def __init__(self, generator: Generator, lengths: Tensor, seeds: Sequence[int], device: torch.device):
        self.shape = generator.noise_shape(lengths)
        self.item_shapes = [generator.noise_shape(length[None])[1:] for length in lengths]
        self.randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.device = device

    def draw(self, number: int = 0) -> Tensor:
        """The next draw, (B, ...), whatever its number; zero where an item's own shape is smaller than the
        batch's.
        """
        noise = torch.zeros(self.shape)
        for row, shape, random in zip(noise, self.item_shapes, self.randoms, strict=True):
            row[tuple(slice(size) for size in shape)] = torch.randn(shape, generator=random)
        return moved(noise, self.device)
