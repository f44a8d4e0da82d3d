"""What the jobs of an array have sampled for one evaluation: kept by each, judged together by whoever merges them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.sampling import joined
from motionrft.generators.text_to_motion import Sampled
from motionrft.training.fingerprints import text_hash
from motionrft.training.weights import read_safetensors, write_safetensors

Batches = list[tuple[Tensor, Sampled]]
"""Positions (b,) among the items of a repetition, and their motions."""


@dataclass(frozen=True)
class SampledParts:
    """A file a repetition in each job's folder.

    folders: of all jobs, to read from; of one, to write to.
    share: (number, count) of the job that samples; None where all have.
    """

    folders: tuple[Path, ...]
    share: tuple[int, int] | None = None

    def keep(self, source: str, seeds: Sequence[int], found: Batches) -> None:
        """Write what one job has sampled of a repetition, whole or not at all."""
        tensors = {"items": torch.empty(0, dtype=torch.int64)}
        if found:
            whole = joined(*zip(*found, strict=True))
            tensors = {
                "items": torch.cat([items for items, _ in found]).sort().values,
                "motion": whole.motion.cpu(),
                "lengths": whole.lengths.cpu(),
                "usable": whole.usable.cpu(),
            }
        write_safetensors(self.folders[0] / _name(source, seeds), tensors)

    def take(self, source: str, seeds: Sequence[int]) -> Batches:
        """What all jobs have sampled of a repetition.

        Raises:
            UserError: a job's file is missing or damaged, or its items are not the repetition's.
        """
        found = [self._read(folder / _name(source, seeds)) for folder in self.folders]
        batches = [each for each in found if each is not None]
        items = torch.cat([items for items, _ in batches]) if batches else torch.empty(0)
        if items.sort().values.tolist() != list(range(len(seeds))):
            raise UserError(
                f"{self.folders[0]} and {len(self.folders) - 1} more: {len(items)} motions of a repetition of "
                f"{len(seeds)} items. Were the jobs given one data set and one generator?"
            )
        return batches

    def _read(self, path: Path) -> tuple[Tensor, Sampled] | None:
        if not path.is_file():
            raise UserError(f"{path}: missing: the job was given another generator, data set or seed.")
        tensors = read_safetensors(path)
        if not len(tensors["items"]):
            return None
        return tensors["items"], Sampled(tensors["motion"], tensors["lengths"], tensors["usable"])


def _name(source: str, seeds: Sequence[int]) -> str:
    return f"samples-{text_hash(source, *map(str, seeds))[:24]}.safetensors"
