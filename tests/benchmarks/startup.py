"""What a call of the program costs before it does anything: of `--help` and of three one-shot calls.

    python -m tests.benchmarks.startup                     # help: best of five; one-shot calls: median of five, and JSON
    python -m tests.benchmarks.startup --out FILE          # the JSON there too

Processor seconds (user and system, from the system's own count of a child) hardly depend on what else a machine does.
torch's own import, which nobody can leave out, is measured beside them. Byte code lies ready, as an installer leaves it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from motionrft_cli.commands import COMMANDS

REPEATS = 5
MOST = {"score": 2.2, "convert": 2.2, "sample": 3.5}
"""Processor seconds that a call may take."""


def best_of(*arguments: str) -> float:
    """Seconds of the quickest of several calls, each in a process of its own."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "motionrft_cli.main", *arguments], stdout=subprocess.DEVNULL, check=True
        )
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def processor_seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """User and system seconds of one call and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def one_shot(place: Path) -> dict[str, Callable[[int], list[str]]]:
    """Command lines by name; the number of the call makes a new text and a new output of each."""
    program = [sys.executable, "-m", "motionrft_cli.main"]
    quietly = {"check": True, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [*program, "sample", "a person waves", "--device", "cpu", "--out", str(place / "first")], **quietly
    )
    motion = str(next((place / "first").glob("*.npy")).rename(place / "one.npy"))
    subprocess.run([*program, "convert", motion, "--to", "bvh", "--out", str(place / "made")], **quietly)
    made = str(place / "made" / "one.bvh")
    out = ["--device", "cpu", "--out"]
    return {
        "torch": lambda _: [sys.executable, "-c", "import torch"],
        "score": lambda _: [*program, "score", motion, "--device", "cpu"],
        "convert": lambda n: [
            *program,
            "convert",
            made,
            "--to",
            "joints",
            *out,
            str(place / f"converted{n}"),
        ],
        "sample": lambda n: [
            *program,
            "sample",
            f"a person waves {n} times",
            *out,
            str(place / f"sampled{n}"),
        ],
    }


def measured() -> dict[str, dict[str, float | list[float] | None]]:
    """Median and all processor seconds of each one-shot call; they take turns."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": str(place / "bytes"), "MOTIONRFT_CACHE": str(place / "cache")}
        calls = one_shot(place)
        for call in calls.values():
            processor_seconds(call(0), environment)  # compiles
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(1, REPEATS + 1):
            for name, call in calls.items():
                seconds[name].append(round(processor_seconds(call(number), environment), 2))
    return {
        name: {"median": statistics.median(each), "most": MOST.get(name), "runs": each}
        for name, each in seconds.items()
    }


def main() -> None:
    """Print one line a call of --help, then the one-shot calls as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--help-too", action=argparse.BooleanOptionalAction, default=True)
    asked = parser.parse_args()
    if asked.help_too:
        print(f"{best_of('--help'):.3f}  motionrft --help")
        for command in COMMANDS:
            print(f"{best_of(command, '--help'):.3f}  motionrft {command} --help")
    found = json.dumps({"processor seconds": measured()}, indent=1)
    print(found)
    if asked.out is not None:
        asked.out.write_text(found + "\n")


if __name__ == "__main__":
    main()
