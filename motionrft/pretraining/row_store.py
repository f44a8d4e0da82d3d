"""Rows of numbers, one a clip and each of its own size, in files of a run: those of a million clips fit no memory.

Latents and tokens of all clips are made once, by the processes of a run in turn, each into a file of its own, and read by
row. A run that goes on finds them again as long as they would be made alike.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from motionrft import __version__
from motionrft.data.motions import Motions
from motionrft.errors import RunError, UserError
from motionrft.parsing import parsing, read_json
from motionrft.training.atomic import atomic_file, clean_temporaries, write_text
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.fingerprints import code_hash, text_hash
from motionrft.training.journal import note_written


@dataclass(frozen=True)
class Encoder:
    """What makes rows: a network, and the statistics that motions are normalised with."""

    network: nn.Module
    mean: Tensor
    std: Tensor

    @property
    def identity(self) -> str:
        """A hash of weights, device, statistics, and of this version of the program."""
        digest = hashlib.sha256(f"{__version__} {code_hash(self.network)}".encode())
        for name, tensor in {**self.network.state_dict(), "mean": self.mean, "std": self.std}.items():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {tensor.device.type}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class Rows:
    """N rows (n_i,) of files, read when they are asked for. In memory are 24 bytes a row.

    Args:
        paths: of the files; blocks of `at_once` rows lie in one after the other in turn.
        sizes: (N,) int64, numbers of each row.
    """

    def __init__(self, paths: Sequence[Path], sizes: Tensor, at_once: int, dtype: torch.dtype) -> None:
        self.paths, self.sizes, self.dtype = paths, sizes, dtype
        self._files: dict[Path, BinaryIO] = {}
        self._file = torch.arange(len(sizes)) // at_once % len(paths)  # (N,)
        self._first = torch.zeros_like(sizes)  # (N,) bytes before each row in its file
        for number in range(len(paths)):
            own = self._file == number
            bytes_of = sizes[own] * dtype.itemsize
            self._first[own] = bytes_of.cumsum(0) - bytes_of

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int) -> Tensor:
        """(n,) of one row.

        Raises:
            RunError: the file has been cut or taken away.
        """
        data = bytearray(int(self.sizes[number]) * self.dtype.itemsize)
        file, path = self._opened(number)
        file.seek(int(self._first[number]))
        if file.readinto(data) != len(data):  # type: ignore[attr-defined]
            raise RunError(f"{path}: ends before row {number}: damaged. Take its folder away and go on.")
        return torch.frombuffer(data, dtype=self.dtype) if data else torch.zeros(0, dtype=self.dtype)

    def blocks(self, at_once: int = 256) -> Iterator[list[Tensor]]:
        """All rows in order, some at a time."""
        for start in range(0, len(self), at_once):
            yield [self[number] for number in range(start, min(start + at_once, len(self)))]

    def expect(self, numbers: Sequence[int]) -> None:
        """Have the system read these rows, which are asked for next; nothing where it takes no such word."""
        if hasattr(os, "posix_fadvise"):
            for number in numbers:
                size = int(self.sizes[number]) * self.dtype.itemsize
                where = self._opened(number)[0].fileno(), int(self._first[number]), size
                os.posix_fadvise(*where, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Let the files go."""
        while self._files:
            self._files.popitem()[1].close()

    def _opened(self, number: int) -> tuple[BinaryIO, Path]:
        path = self.paths[int(self._file[number])]
        if path not in self._files:
            try:
                self._files[path] = path.open("rb", buffering=0)
            except OSError as error:
                raise RunError(f"{path}: cannot be read ({error.strerror}).") from error
        return self._files[path], path


@dataclass(frozen=True)
class RowStore:
    """Where a stage keeps the rows of its clips, which its company makes together.

    As a context it deletes them at a good end, and where the run has been refused; not where it may go on.
    """

    folder: Path
    company: Distribution = ALONE
    _given: list[Rows] = field(default_factory=list)

    def __enter__(self) -> "RowStore":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        for rows in self._given:
            rows.close()
        if self.company.main and (error is None or isinstance(error, UserError)):
            shutil.rmtree(self.folder, ignore_errors=True)

    def rows(
        self,
        motions: Motions,
        mirrored: bool,
        encoder: Encoder,
        make: Callable[[range], Sequence[Tensor]],
        at_once: int,
        dtype: torch.dtype = torch.float32,
    ) -> Rows:
        """A row of each motion, made unless it was made before.

        Args:
            encoder: what the rows depend on beside the motions.
            make: rows of some motions, of any shape, on any device; called with `at_once` of them, the last fewer.

        Raises:
            UserError: the processes do not see each other's files.
        """
        name = f"{motions.dataset.split}{'-mirrored' if mirrored else ''}"
        wanted = f"{motions.representation} {motions.fps} {motions.longest} {mirrored} {at_once} {dtype}"

        def known() -> tuple[str, tuple[list[Path], Tensor] | None]:
            identity = text_hash(encoder.identity, motions.dataset.strict_identity, wanted)
            return identity, self._known(name, identity)

        identity, found = self.company.known(known)
        if found is None:
            found = self._made(name, identity, len(motions), make, at_once, dtype)
        rows = Rows(*found, at_once, dtype)
        self._given.append(rows)
        return rows

    def _known(self, name: str, identity: str) -> tuple[list[Path], Tensor] | None:
        """Files and sizes of rows that were made alike and are whole; otherwise there are none afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        clean_temporaries(self.folder, locked=True)
        try:
            about = read_json(self.folder / f"{name}.json")
            with parsing(self.folder / f"{name}.json", "a list of rows"):
                found = [(self.folder / each, size) for each, size in about["files"].items()]
                sizes = torch.from_numpy(np.load(self.folder / f"{name}.npy", allow_pickle=False))
                if about["identity"] == identity and all(p.stat().st_size == size for p, size in found):
                    return [path for path, _ in found], sizes
        except (UserError, OSError):
            pass  # none, or damaged: they are made again
        for path in (self.folder / f"{name}.json", *self.folder.glob(f"{name}.*.bin")):
            path.unlink(missing_ok=True)
        return None

    def _made(
        self,
        name: str,
        identity: str,
        count: int,
        make: Callable[[range], Sequence[Tensor]],
        at_once: int,
        dtype: torch.dtype,
    ) -> tuple[list[Path], Tensor]:
        company = self.company
        paths = [self.folder / f"{name}.{number:03d}.bin" for number in range(company.processes)]
        own: list[np.ndarray] = []
        with atomic_file(paths[company.place]) as temporary, temporary.open("wb") as file:
            for start in range(company.place * at_once, count, company.processes * at_once):
                rows = make(range(start, min(start + at_once, count)))
                own.append(np.array([row.numel() for row in rows], dtype=np.int64))
                for row in rows:
                    file.write(row.detach().cpu().to(dtype).contiguous().numpy().tobytes())
        parts = company.gather(own)
        blocks = [parts[number % len(parts)][number // len(parts)] for number in range(sum(map(len, parts)))]
        sizes = torch.from_numpy(np.concatenate(blocks))  # (N,)
        bytes_of = [int(sum(block.sum() for block in part)) * dtype.itemsize for part in parts]
        company.first(lambda: self._note(name, identity, dict(zip(paths, bytes_of, strict=True)), sizes))
        return paths, sizes

    def _note(self, name: str, identity: str, files: dict[Path, int], sizes: Tensor) -> None:
        """Say that all rows are there, once they are."""
        for path, size in files.items():
            if not path.is_file() or path.stat().st_size != size:
                raise UserError(
                    f"{path}: another process has written it, and it is not seen here. Name an --out on a disk that all "
                    "processes share."
                )
            note_written(path)  # by whichever process, it is the run's
        with atomic_file(self.folder / f"{name}.npy") as path, path.open("wb") as file:
            np.save(file, sizes.numpy())
        about: dict[str, Any] = {"identity": identity, "files": {p.name: size for p, size in files.items()}}
        write_text(self.folder / f"{name}.json", json.dumps(about) + "\n")


def moments(blocks: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and (unbiased) variance (d,) of all vectors of the blocks (n, d), in float64, a block at a time.

    Raises:
        UserError: there are none.
    """
    count, shift, sums = 0, None, None
    for block in blocks:
        values = block.double()
        if shift is None or sums is None:
            shift, sums = values.mean(0), values.new_zeros(2, values.shape[1])
        # Shifted sums: no cancellation, whatever the distance from zero.
        sums += torch.stack([(values - shift).sum(0), (values - shift).square().sum(0)])
        count += len(values)
    if shift is None or sums is None:
        raise UserError("no clip has a latent: nothing can be whitened.")
    offset = sums[0] / count
    return shift + offset, (sums[1] / count - offset**2).clamp_min(0) * count / max(count - 1, 1)
