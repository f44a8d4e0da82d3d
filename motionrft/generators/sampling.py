"""Sampling many prompts: a seed per item, batches of like lengths, results that do not depend on the batch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from motionrft.generators.text_to_motion import Prompts, Sampled, Sampling, TextToMotion
from motionrft.moving import moved
from motionrft.training.seeds import item_seed


def sample(
    generator: TextToMotion,
    prompts: Prompts,
    lengths: Tensor,
    seeds: Sequence[int],
    sampling: Sampling | None = None,
    batch: int = 32,
    precision: torch.dtype | None = None,
) -> Sampled:
    """Motions (N, T, features) of N prompts, without gradient, in their order. Arguments as `sample_batches`; tokens
    and whole motions are left out.
    """
    batches = sample_batches(generator, prompts, lengths, seeds, sampling, batch, precision)
    items, parts = zip(*batches, strict=True)
    return joined(items, parts)


def joined(items: Sequence[Tensor], parts: Sequence[Sampled]) -> Sampled:
    """Batches of `sample_batches` in one, in the order of the items; without tokens and whole motions."""
    order = torch.cat(list(items)).argsort()  # (N,)
    frames = max(part.motion.shape[1] for part in parts)
    padded = [torch.nn.functional.pad(p.motion, (0, 0, 0, frames - p.motion.shape[1])) for p in parts]
    motion = torch.cat(padded)  # (N, T, F)
    return Sampled(
        motion[order.to(motion.device)],
        torch.cat([part.lengths for part in parts])[order],
        torch.cat([part.usable for part in parts])[order],
    )


def sample_batches(
    generator: TextToMotion,
    prompts: Prompts,
    lengths: Tensor,
    seeds: Sequence[int],
    sampling: Sampling | None = None,
    batch: int = 32,
    precision: torch.dtype | None = None,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Sampled]]:
    """Sample batch by batch, as results come.

    Args:
        prompts: N of them, as `generator.encode_text` gives; lengths: (N,) frames wanted.
        seeds: N numbers; an item's randomness depends on its own alone (see `motionrft.training.seeds.item_seed`).
        sampling: of this generator (`TextToMotion.sampling`); None stands for its own choice.
        batch: items computed at once; the result does not depend on it beyond float rounding.
        precision: bfloat16 or float16 for the network's arithmetic (autocast); states and decoding stay in float32.
        share: (number, count), the batches number, number + count, ... alone: other processes sample the others.

    Yields:
        (items, sampled): positions (b,) int64 among the N, and their motions, padded to the batch's longest.
    """
    settings, lengths = sampling or generator.sampling(), lengths.cpu()
    for items in islice(batches(lengths, batch, generator.sees_padding), share[0], None, share[1]):
        chosen = prompts.index(moved(items, prompts.device)).to(generator.device)
        its = [seeds[i] for i in items.tolist()]
        yield items, generator.draw(chosen, lengths[items], its, settings, precision)


def prompt_seeds(seed: int, texts: Sequence[str]) -> list[int]:
    """A seed a prompt, from the prompt and how often it came before: its motion depends on nothing else."""
    seen: Counter[str] = Counter()
    seeds = []
    for text in texts:
        seeds.append(item_seed(seed, text, seen[text]))
        seen[text] += 1
    return seeds


def batches(lengths: Tensor, batch: int, equal_lengths: bool) -> Iterator[Tensor]:
    """Positions (b,) of the items of each batch: neighbours in length, or only equals where padding would be seen."""
    order = lengths.argsort(descending=True, stable=True)  # (N,)
    start = 0
    while start < len(order):
        end = min(start + batch, len(order))
        if equal_lengths:
            while lengths[order[end - 1]] != lengths[order[start]]:
                end -= 1
        yield order[start:end]
        start = end
