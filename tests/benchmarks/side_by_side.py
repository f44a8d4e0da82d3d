"""Parts of a benchmark that run side by side on a lent machine: a process, a log and a deadline each."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Parts:
    """Processes side by side, and what became of each."""

    out: Path
    work: Path
    ends: float
    """By `time.time()`."""
    told: dict[str, Any] = field(default_factory=dict)
    running: dict[str, tuple[subprocess.Popen[bytes], float, float]] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    """Folder of the model that a part leaves."""
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        return self.ends - time.time()

    def start(
        self,
        name: str,
        command: Sequence[str],
        threads: int,
        limit: float | None = None,
        model: Path | None = None,
    ) -> None:
        """Begin a part. limit: its seconds. model: the folder that is packed as soon as it has ended."""
        log = open(self.work / f"{name}.log", "wb")  # noqa: SIM115 - the process's, for its life
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NVIDIA_TF32_OVERRIDE": "1"}
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        if model is not None:
            self.models[name] = model
        now = time.time()
        self.running[name] = (process, now, min(now + (limit or 1e9), self.ends))

    def wait(self, *names: str) -> None:
        """Until those have ended; the others go on. Whoever outlasts its limit is asked to save, then ended."""
        while any(name in self.running for name in names):
            for name, (process, began, limit) in list(self.running.items()):
                late = time.time() - limit
                if process.poll() is None and late > 10:
                    os.killpg(process.pid, signal.SIGKILL)
                elif process.poll() is None and late > 0 and name not in self.asked:
                    self.asked.add(name)  # a second time would break off the saving
                    os.killpg(process.pid, signal.SIGTERM)
                if process.poll() is not None:
                    del self.running[name]
                    row = {"rc": process.returncode, "seconds": round(time.time() - began, 1)}
                    self.tell(name, row | ({"log": self._tail(name)} if process.returncode else {}))
                    self._keep(name)
            time.sleep(0.2)

    def tell(self, name: str, row: dict[str, Any]) -> None:
        """Add to the results, and write them."""
        self.told[name] = {**self.told.get(name, {}), **row}
        write = self.out / "results.json"
        write.write_text(json.dumps(self.told, indent=1) + "\n")
        print(name, json.dumps(row)[:400], flush=True)

    def _tail(self, name: str) -> str:
        """The end of a part's log."""
        return (self.work / f"{name}.log").read_bytes()[-1500:].decode(errors="replace")

    def _keep(self, name: str) -> None:
        """Pack the model of a part, in half precision; what cannot be packed is said, and costs no other part."""
        folder = self.models.get(name)
        if folder is None or not (folder / "config.json").is_file():
            return
        try:
            halve(folder)
            with tarfile.open(self.out / f"{name}.tar", "w") as tar:
                tar.add(folder, name)
        except Exception as error:
            self.tell(name, {"not packed": f"{type(error).__name__}: {error}"})

    def logs(self) -> None:
        with tarfile.open(self.out / "logs.tar.gz", "w:gz") as tar:
            for path in sorted([*self.work.glob("*.log"), *self.work.glob("*/*/metrics.jsonl")]):
                tar.add(path, str(path.relative_to(self.work)))


def motionrft(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "motionrft_cli.main", *arguments]


def halve(folder: Path) -> None:
    """A model's weights in half precision."""
    from motionrft.training.weights import CARD, load_weights, save_weights

    tensors, config = load_weights(folder)
    half = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
    card = folder / CARD
    save_weights(folder, half, config, card.read_text(encoding="utf-8") if card.is_file() else None)
