"""The product as users run it, on a GPU: `finetune` of the built-in generator, with and without CUDA graphs.

Prompts are of mixed lengths, so that graphs meet many shapes: what they cost in memory and what they save is seen as a
user would see it, and that both ways learn the same.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune
from motionrft.finetuning.session import FinetuneSession
from motionrft.training.devices import resolve_precision
from tests.benchmarks.finetune import MIB

Row = dict[str, Any]
WAYS: dict[str, tuple[Any, str]] = {
    "plain": (False, "fp32"),
    "auto": ("auto", "fp32"),
    "auto, tf32": ("auto", "tf32"),
    "auto, bf16": ("auto", "bf16"),
    "plain, bf16": (False, "bf16"),
}


def product(device: str, tiny: bool) -> Iterator[Row]:
    """Seconds an update of the last half, bytes, and the rewards of each half."""
    for batch in (4,) if tiny else (16, 256):
        for way, (compiles, precision) in list(WAYS.items())[: 2 if tiny else None]:
            yield {"way": way, "batch": batch} | _tuned(device, batch, 2 if tiny else 8, compiles, precision)


def _tuned(device: str, batch: int, trajectories: int, compiles: Any, precision: str) -> Row:
    k = 2 if trajectories == 2 else 10
    preset = FinetunePreset.of(
        {
            "generator": "builtin",
            "reward": "builtin",
            "method": {"method": "easytune", "k": k, "rho": 0},
            "steps": max(4, 2 * k),
            "batch": batch,
            "updates": k * trajectories,
            "compile": compiles,
            "optimiser": {"lr": 2e-5, "warmup": 0},
            "watch": {"every": 0},
            "checkpoint_every": 0,
            "evaluation": {"prompts": 0},
        },
        "product",
    )
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        dtype = resolve_precision(precision, torch.device(device))
        finetune(preset, FinetuneSession(Path(folder) / "run", torch.device(device), dtype=dtype))
        lines = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").open()]
    half = len(lines) // 2
    row: Row = {
        "s/update": round(sum(line["seconds"] for line in lines[half:]) / (len(lines) - half), 5),
        "first trajectory s": round(sum(line["seconds"] for line in lines[:k]), 2),
        "reward, first half": round(sum(line["reward"] for line in lines[:half]) / half, 4),
        "second half": round(sum(line["reward"] for line in lines[half:]) / (len(lines) - half), 4),
    }
    if device.startswith("cuda"):
        row["peak MiB"] = round(torch.cuda.max_memory_allocated() / MIB, 1)
        row["reserved MiB"] = round(torch.cuda.max_memory_reserved() / MIB, 1)
    return row
