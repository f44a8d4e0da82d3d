"""A trajectory of this tree against one of another commit, both in one run.

    git worktree add /tmp/then f2fc882 && python -m tests.benchmarks.finetune --against /tmp/then [--device cuda]

Each way has a process of its own with one CPU thread, and they take turns, so that whatever disturbs disturbs all.
What is measured: processor seconds of a trajectory (EasyTune on MLD at its full size, as `tests.benchmarks.finetune`),
on a GPU the seconds until it has ended, and the most bytes that autograd held (there what cuBLAS keeps is among them).
bf16 pays on processors that multiply it (`lscpu`: avx512_bf16, amx_bf16) alone.
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
how, device = sys.argv[2].split(), sys.argv[3]
precision = {"dtype": torch.bfloat16} if "bf16" in how else {}
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "tf32" in how
ours = Ours(int(sys.argv[1]), EasyTunePreset(k=K, judge="next"), device, **precision)
faster = None
if "compiled" in how:
    from motionrft.finetuning.compiled import compiled as faster
if "graphs" in how:
    from motionrft.finetuning.captured import captured as faster
if faster:
    context = ours.context
    ours.context = replace(context, compiled=faster(context.generator, context.reward))
cuda = device.startswith("cuda")
clock = time.perf_counter if cuda else time.process_time
for line in sys.stdin:
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    began = clock()
    ours.trajectory()
    if cuda:
        torch.cuda.synchronize()
    took = clock() - began
    whole = (torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()) if cuda else ()
    print(took, ours.meter.peak, *whole, flush=True)
"""
MIB = 2**20


class Way:
    """One tree's trajectories, in a process of their own."""

    def __init__(self, tree: Path, batch: int, how: str, device: str) -> None:
        path = os.pathsep.join((str(tree), os.environ.get("PYTHONPATH", "")))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(batch), how, device], cwd=tree, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.seconds: list[float] = []
        self.peak = 0.0
        """Bytes held for backward, of all trajectories."""
        self.whole: dict[str, float] = {}
        """Bytes of everything on the device in the last one: allocated, and reserved."""

    def run(self) -> float:
        """Seconds of one trajectory."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        seconds, peak, *whole = map(float, self.process.stdout.readline().split())
        self.peak = max(self.peak, peak)
        self.whole = dict(zip(("allocated MiB", "reserved MiB"), whole, strict=False))
        return seconds

    def end(self) -> None:
        """Let the process go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


WAYS = {
    "cpu": {
        "now": "plain",
        "now, compile: true": "compiled",
        "now, bf16": "bf16",
        "now, bf16, compile: true": "compiled bf16",
    },
    "cuda": {"now": "plain", "now, graphs (the default)": "graphs", "now, graphs, tf32": "graphs tf32"},
}
"""By kind of device, how this tree walks a trajectory; the other one walks it plainly."""


def compare(
    then: Path, device: str = "cpu", batches: Sequence[int] = (4, 16), repeats: int = 5
) -> Iterator[str]:
    """A JSON line a batch and way: median seconds, how much faster than `then`, MiB held, seconds of the first.

    On a GPU also MiB of everything there, weights included, in a trajectory after the first. A captured graph's own
    activations are reserved alone: the allocator takes them for free.
    """
    here = Path(__file__).resolve().parents[2]
    for batch in batches:
        ways = {"then": Way(then, batch, "plain", device)}
        own = WAYS[device.partition(":")[0]]
        ways |= {name: Way(here, batch, how, device) for name, how in own.items()}
        first = {name: way.run() for name, way in ways.items()}
        for _ in range(repeats):
            for way in ways.values():
                way.seconds.append(way.run())
        base = statistics.median(ways["then"].seconds)
        for name, way in ways.items():
            took = statistics.median(way.seconds)
            row = {"batch": batch, "way": name, "seconds": round(took, 4), "faster": round(base / took, 2)}
            sizes = {name: round(size / MIB, 1) for name, size in {"MiB": way.peak, **way.whole}.items()}
            yield json.dumps({**row, **sizes, "first": round(first[name], 1)})
            way.end()
