"""Weights in safetensors files that are larger than memory: read by name, a few at a time.

A file stays open no longer than it is read from: what was mapped of it would otherwise count as memory of ours.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from motionrft.errors import UserError
from motionrft.parsing import parsing, read_json

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Shards:
    """The tensors of some files, by name without the `prefixes` under which they were saved.

    Args:
        folder: holds `model.safetensors`, or its index and the files that it names.

    Raises:
        UserError: no weights there, or a file of the index is missing.
    """

    def __init__(self, folder: Path, single: str = SINGLE, prefixes: Sequence[str] = ("model.",)):
        self.folder, self._prefixes = folder, prefixes
        self._files: dict[str, tuple[Path, str]] = {}
        if (folder / INDEX).is_file():
            with parsing(folder / INDEX, "a list of shards"):
                named: dict[str, str] = read_json(folder / INDEX)["weight_map"]
                for name, file in named.items():
                    self._files[self._plain(name)] = folder / Path(file).name, name
        else:
            with parsing(folder / single, "weights"), safe_open(folder / single, "pt") as stored:
                self._files = {self._plain(name): (folder / single, name) for name in stored.keys()}  # noqa: SIM118
        if missing := sorted({path for path, _ in self._files.values() if not path.is_file()}):
            raise UserError(
                f"{missing[0]}: missing, though {INDEX} names it ({len(missing)} such files). Download it again."
            )

    def names(self) -> list[str]:
        return list(self._files)

    @property
    def files(self) -> list[Path]:
        """Every file that holds some of them."""
        return sorted({path for path, _ in self._files.values()})

    def read(self, names: Iterable[str], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """These tensors.

        Raises:
            UserError: one of them is in no file, or its file is damaged.
        """
        shelves: dict[Path, list[tuple[str, str]]] = {}
        for name in names:
            path, stored_as = self._place(name)
            shelves.setdefault(path, []).append((name, stored_as))
        found: dict[str, Tensor] = {}
        for path, wanted in shelves.items():
            with parsing(path, "weights"), safe_open(path, "pt", device=str(device)) as stored:
                found |= {name: stored.get_tensor(stored_as).to(dtype) for name, stored_as in wanted}
        return found

    def rows(self, name: str, rows: Sequence[int]) -> Tensor:
        """Some rows of a table, (rows, D), without reading the others; raises as `read`, or a row is not there."""
        path, stored_as = self._place(name)
        with parsing(path, "weights"), safe_open(path, "pt") as stored:
            table = stored.get_slice(stored_as)
            return torch.stack([table[row : row + 1][0].clone() for row in rows])

    def _place(self, name: str) -> tuple[Path, str]:
        if name not in self._files:
            raise UserError(f"{self.folder}: {name} is in none of its weights; this is another model.")
        return self._files[name]

    def _plain(self, name: str) -> str:
        for prefix in self._prefixes:
            name = name.removeprefix(prefix)
        return name
