"""Golden cases: the outputs of published code that ours must reproduce.

The folder is MOTIONRFT_GOLDEN, or `../shared/golden` beside the repository. A parity test dispatches on a
case's metadata alone and never on its file's name:

    from tests.parity.golden import Case, cases

    @pytest.mark.parametrize("case", cases("reward", op="motion_encoder"), ids=str)
    def test_motion_encoder(case: Case) -> None:
        model = build(case.info["config"], case.group("state/"))
        torch.testing.assert_close(model(case["in/motion"]), case["out/mu"], rtol=0, atol=2e-5)

`cases` registers what a test covers, so that the run can end with a list of the operations nobody knows yet.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

_covered: dict[str, set[Path]] = defaultdict(set)


def golden_folder() -> Path:
    """Where the golden data lie; need not exist."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "golden"
    return Path(os.environ.get("MOTIONRFT_GOLDEN", beside))


@dataclass(frozen=True)
class Case:
    """One golden file: its metadata now, its tensors when asked for.

    Indexing gives a tensor; `info` is the metadata entry `info` or `description`, parsed.
    """

    path: Path
    info: dict[str, Any]

    @property
    def op(self) -> str:
        """What the case computes: metadata `op`, or `module` where a generator is meant."""
        return str(self.info.get("op") or self.info.get("module"))

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the file by its full name."""
        with safe_open(self.path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Tensors whose name starts with `prefix`, under the rest of the name: `group("state/")`."""
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def __str__(self) -> str:
        return self.path.stem


@cache
def all_cases(folder: str) -> tuple[Case, ...]:
    """Every case of a folder, sorted by name; empty when the folder is not there."""
    return tuple(_read(path) for path in sorted((golden_folder() / folder).glob("*.safetensors")))


def _read(path: Path) -> Case:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    return Case(path, json.loads(metadata.get("info") or metadata.get("description") or "{}"))


def cases(
    folder: str, op: str | None = None, where: Callable[[dict[str, Any]], bool] | None = None
) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the cases of a folder that a test is about.

    Args:
        folder: `representations`, `generators`, `reward` or `evaluation`.
        op: only cases of this `op` (generators: this `module`).
        where: only cases whose metadata it accepts.

    Returns:
        One parameter a case; a single skipped one, with the reason, when there is no case.
    """
    found = [
        case
        for case in all_cases(folder)
        if (op is None or case.op == op) and (where is None or where(case.info))
    ]
    _covered[folder].update(case.path for case in found)
    if found:
        return [pytest.param(case, id=str(case)) for case in found]
    place = golden_folder() / folder
    reason = f"no case of {op or 'this kind'} in {place}" if place.is_dir() else f"no golden data at {place}"
    return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=reason))]


def assert_trajectory(found: Tensor, expected: Tensor, share: float = 1e-4) -> None:
    """Equal within a share of the largest entry: rounding grows along a trajectory with the size of its states."""
    torch.testing.assert_close(found, expected, rtol=0, atol=share * float(expected.abs().max()))


def not_covered() -> dict[str, list[str]]:
    """Folder -> the ops of cases that no collected test asked for (only folders that some test asked for)."""
    return {
        folder: sorted({case.op for case in all_cases(folder) if case.path not in covered})
        for folder, covered in _covered.items()
    }
