"""Everything that needs a GPU, in one command: `make gpu`, or

    python -m tests.benchmarks.gpu --device cuda --out gpu-results        # under five minutes on one H100
    python -m tests.benchmarks.gpu --device cpu --tiny --out DIR          # does it run at all? no GPU needed

The GPU tests, fine-tuning at MLD's full size (seconds an update, bytes, launches, with and without each optimisation,
for several batches and numbers of steps), `finetune` as users run it, sampling of every family at its published size,
bf16 against fp32. Results are written after every row (`results.json`, `results.md`), a row that fails says why and
costs no other row, and sections that would run beyond `--budget` seconds are left out by name.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks import gpu_sections as sections
from tests.benchmarks.gpu_product import product

Row = dict[str, Any]


@dataclass
class Record:
    """The rows so far, and the two files that hold them."""

    out: Path
    device: str
    budget: float
    began: float = field(default_factory=time.perf_counter)
    rows: list[Row] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.budget - (time.perf_counter() - self.began)

    def add(self, section: str, row: Row) -> None:
        self.rows.append({"section": section, **row, "at": round(time.perf_counter() - self.began, 1)})
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "results.json").write_text(json.dumps(self.rows, indent=1) + "\n")
        (self.out / "results.md").write_text(self.table())
        print(json.dumps(self.rows[-1]), flush=True)

    def table(self) -> str:
        """One Markdown table a section."""
        lines = [f"# On {self.device}", ""]
        for section in dict.fromkeys(row["section"] for row in self.rows):
            rows = [row for row in self.rows if row["section"] == section]
            names = list(dict.fromkeys(name for row in rows for name in row if name not in ("section", "at")))
            lines += [f"## {section}", "", f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
            lines += [f"| {' | '.join(str(row.get(name, '')) for name in names)} |" for row in rows] + [""]
        return "\n".join(lines)


def run(record: Record, name: str, rows: Callable[[], Iterator[Row]], needs: float) -> None:
    """One section; its failure is a row."""
    if record.left < needs:
        record.add(name, {"left out": f"{record.left:.0f} s of the budget left, {needs:.0f} needed"})
        return
    try:
        for row in rows():
            record.add(name, row)
            if record.left < 0:
                record.add(name, {"left out": "the rest: the budget is spent"})
                return
    except Exception as error:  # the next section has nothing to do with it
        where = traceback.extract_tb(error.__traceback__)[-1]
        record.add(
            name,
            {"error": f"{type(error).__name__}: {error}"[:400], "in": f"{where.filename}:{where.lineno}"},
        )
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def tests(timeout: float) -> Iterator[Row]:
    """`pytest -m gpu`, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/gpu"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        said = done.stdout.strip().splitlines() or done.stderr.strip().splitlines()
    except subprocess.TimeoutExpired as error:
        said = [f"stopped after {timeout:.0f} s", *_text(error.stdout).splitlines()[-3:]]
    yield {"said": said[-1] if said else "nothing"}
    for line in said:
        if line.startswith(("FAILED", "ERROR", "E  ")):
            yield {"said": line.replace("|", "/")[:300]}


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def compiling(options: argparse.Namespace, timeout: float) -> Iterator[Row]:
    """The section `compile` in a process of its own, which can be stopped: compiling takes its time."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--only", "compile", "--device", options.device]
    command += ["--out", str(options.out / "compile"), "--budget", str(timeout)] + ["--tiny"] * options.tiny
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            yield {"error": done.stderr.strip()[-300:]}
    except subprocess.TimeoutExpired:
        yield {"left out": f"the rest: stopped after {timeout:.0f} s"}
    found = options.out / "compile" / "results.json"
    for row in json.loads(found.read_text()) if found.is_file() else []:
        yield {name: value for name, value in row.items() if name not in ("section", "at")}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--tiny", action="store_true", help="tiny networks: to see that it runs")
    parser.add_argument("--budget", type=float, default=285.0, help="seconds; what does not fit is left out")
    parser.add_argument("--only", help="comma-separated sections")
    options = parser.parse_args()
    size = sections.TINY if options.tiny else sections.FULL
    name = (
        torch.cuda.get_device_name()
        if options.device.startswith("cuda")
        else "the processor: no GPU was seen"
    )
    record = Record(options.out, name, options.budget)
    table: dict[str, tuple[Callable[[], Iterator[Row]], float]] = {
        "environment": (lambda: sections.environment(options.device), 0),
        "optimisations": (lambda: sections.optimisations(size, options.device), 10),
        "steps": (lambda: sections.against_steps(size, options.device), 10),
        "product": (lambda: product(options.device, options.tiny), 10),
        "sampling": (lambda: sections.sampling(size, options.device), 10),
        "precision": (lambda: sections.precision(size, options.device), 10),
        "tests": (lambda: tests(min(150.0, record.left)), 20),
        "compiling": (lambda: compiling(options, record.left - 5), 30),
    }
    if options.only == "compile":
        table = {"compile": (lambda: sections.compiled_calls(size, options.device), 0)}
    elif options.only:
        table = {key: table[key] for key in options.only.split(",")}
    for key, (rows, needs) in table.items():
        run(record, key, rows, needs)


if __name__ == "__main__":
    main()
