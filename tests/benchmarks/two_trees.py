"""A trajectory of this tree against one of another commit, both in one run.

    git worktree add /tmp/then f2fc882 && python -m tests.benchmarks.finetune --against /tmp/then

Each way has a process of its own with one CPU thread, and they take turns, so that whatever disturbs disturbs all.
What is measured: processor seconds of a trajectory (EasyTune on MLD at its full size, as `tests.benchmarks.finetune`),
and the most bytes that autograd held. bf16 pays on processors that multiply it (`lscpu`: avx512_bf16, amx_bf16) alone.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

WORKER = """
import sys, time
from dataclasses import replace
import torch
torch.set_num_threads(1)
from tests.benchmarks.finetune import K, EasyTunePreset, Ours
how = sys.argv[2].split()
precision = {"dtype": torch.bfloat16} if "bf16" in how else {}
ours = Ours(int(sys.argv[1]), EasyTunePreset(k=K, judge="next"), **precision)
if "compiled" in how:
    from motionrft.finetuning.compiled import compiled
    context = ours.context
    ours.context = replace(context, compiled=compiled(context.generator, context.reward))
for line in sys.stdin:
    began = time.process_time()
    ours.trajectory()
    print(time.process_time() - began, ours.meter.peak, flush=True)
"""
MIB = 2**20


class Way:
    """One tree's trajectories, in a process of their own."""

    def __init__(self, tree: Path, batch: int, how: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(batch), how], cwd=tree, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.seconds: list[float] = []
        self.peak = 0.0

    def run(self) -> float:
        """Seconds of one trajectory."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        seconds, peak = self.process.stdout.readline().split()
        self.peak = max(self.peak, float(peak))
        return float(seconds)

    def end(self) -> None:
        """Let the process go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(then: Path, batches: Sequence[int] = (4, 16), repeats: int = 5) -> Iterator[str]:
    """A JSON line a batch and way: median seconds, how much faster than `then`, MiB held, seconds of the first."""
    here = Path(__file__).resolve().parents[2]
    for batch in batches:
        ways = {
            "then": Way(then, batch, "plain"),
            "now": Way(here, batch, "plain"),
            "now, compile: true": Way(here, batch, "compiled"),
            "now, bf16": Way(here, batch, "bf16"),
            "now, bf16, compile: true": Way(here, batch, "compiled bf16"),
        }
        first = {name: way.run() for name, way in ways.items()}
        for _ in range(repeats):
            for way in ways.values():
                way.seconds.append(way.run())
        base = statistics.median(ways["then"].seconds)
        for name, way in ways.items():
            took = statistics.median(way.seconds)
            row = {"batch": batch, "way": name, "seconds": round(took, 3), "faster": round(base / took, 2)}
            yield json.dumps({**row, "MiB": round(way.peak / MIB, 1), "first": round(first[name], 1)})
            way.end()
