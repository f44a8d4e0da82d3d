"""Normalisation: the mean and standard deviation of a data set, one pair for each representation.

Files keep the names the field gave them: `Mean.npy`, `Std.npy` (kinematic), `Mean_22x3.npy` (joints, one value a
coordinate), `Mean_135.npy` (rotation), `Mean_201.npy` (HY-Motion).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import parsing
from motionrft.representations.kinematic import blocks, skeleton_of
from motionrft.representations.names import HYMOTION, JOINTS, KINEMATIC, ROTATION
from motionrft.training.atomic import atomic_file

_SUFFIX = {KINEMATIC: "", JOINTS: "_22x3", ROTATION: "_135", HYMOTION: "_201"}
CONSTANT = 1e-5
"""A standard deviation below this is a constant with rounding noise on it (a joint that never turns has 1e-6): divided
by it, the first generated motion that does turn the joint would be a million deviations away. It stays as it is."""


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation over all frames of a data set.

    mean, std: (D,), or (3,) for joints: shared by all joints and frames, applied to the last axis of (..., 22, 3).
    """

    mean: Tensor  # (D,)
    std: Tensor  # (D,)

    def normalise(self, x: Tensor) -> Tensor:
        """(x - mean) / std over the last axis; a flat (..., 66) works with the three values of joints too."""
        mean, std = self._fitted(x)  # (D,) each
        return (x - mean) / torch.where(std < CONSTANT, torch.ones_like(std), std)

    def denormalise(self, x: Tensor) -> Tensor:
        """x std + mean, the inverse of `normalise`."""
        mean, std = self._fitted(x)  # (D,) each
        return x * std + mean

    def _fitted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = self.mean.to(x), self.std.to(x)
        repeats = x.shape[-1] // mean.shape[0]
        if mean.shape[0] == 3 and repeats > 1:
            mean, std = mean.repeat(repeats), std.repeat(repeats)  # (66,) each
        return mean, std

    def to(self, device: torch.device | str) -> Statistics:
        return Statistics(self.mean.to(device), self.std.to(device))

    @staticmethod
    def of_clips(clips: Iterable[Tensor | np.ndarray], representation: str = KINEMATIC) -> Statistics:
        """Statistics over all frames of all clips, in float64 and one pass; clips with NaN are left out.

        Args:
            clips: motions (T, D) or (T, J, 3).
            representation: kinematic averages the standard deviation inside each block of features, joints shares
                three values over all joints, rotation keeps one value a dimension.
        """
        count, total, squares = 0, None, None
        for clip in clips:
            x = torch.as_tensor(np.asarray(clip)).double()
            x = x.reshape(-1, 3) if representation == JOINTS else x  # (T J, 3) or (T, D)
            if not torch.isfinite(x).all():
                continue
            if total is None or squares is None:
                total, squares, shift = torch.zeros_like(x[0]), torch.zeros_like(x[0]), x.mean(0)
            # Shifted sums: no cancellation, whatever the distance of the data from zero.
            total += (x - shift).sum(0)
            squares += ((x - shift) ** 2).sum(0)
            count += len(x)
        if total is None or squares is None:
            raise UserError("statistics need at least one clip without NaN.")
        offset = total / count  # (D,)
        std = (squares / count - offset**2).clamp_min(0).sqrt()  # (D,)
        mean = shift + offset  # (D,)
        if representation == KINEMATIC:
            for place in blocks(skeleton_of(len(std))).values():
                std[place] = std[place].mean()
        return Statistics(mean.float(), std.float())

    @staticmethod
    def load(folder: Path | str, representation: str = KINEMATIC) -> Statistics:
        """Read the pair of files of a representation from a data set folder.

        Raises:
            UserError: a file is missing or holds something else; nothing is replaced by zeros and ones.
        """
        paths = Statistics.files(folder, representation)
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise UserError(
                f"{missing[0]}: missing. {representation} motions are normalised with "
                f"{paths[0].name} and {paths[1].name}."
            )
        return Statistics.of_files(*paths)

    @staticmethod
    def files(folder: Path | str, representation: str = KINEMATIC) -> tuple[Path, Path]:
        """Where a folder keeps a representation's mean and standard deviation."""
        suffix = _SUFFIX[representation]
        return Path(folder) / f"Mean{suffix}.npy", Path(folder) / f"Std{suffix}.npy"

    @staticmethod
    def of_files(mean: Path | str, std: Path | str) -> Statistics:
        """Read two `.npy` files of one shape (D,)."""
        arrays = []
        for path in (mean, std):
            with parsing(path, "a readable .npy array") as place:
                array = np.load(path, allow_pickle=False)
                if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
                    place.fail("a mean or standard deviation is finite numbers; this holds something else.")
                arrays.append(torch.from_numpy(array.astype(np.float32)).flatten())
        if (arrays[1] < 0).any():
            raise UserError(f"{std}: holds a negative number; a standard deviation is none.")
        if arrays[0].shape != arrays[1].shape:
            raise UserError(f"{mean} has {len(arrays[0])} values, {std} has {len(arrays[1])}.")
        return Statistics(*arrays)

    def save(self, folder: Path | str, representation: str = KINEMATIC) -> None:
        """Write the pair of files of a representation."""
        for path, values in zip(Statistics.files(folder, representation), (self.mean, self.std), strict=True):
            with atomic_file(path) as temporary, open(temporary, "wb") as file:
                np.save(file, values.cpu().numpy())
