"""Killing a command at random moments, calling it again until it is done, and comparing with one that nobody killed."""

import contextlib
import importlib
import json
import os
import pkgutil
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import motionrft
import motionrft_cli
from motionrft_cli import main as program
from tests.kills.commands import Command

TIMES = ("seconds", "rss_bytes", "peak_bytes", "graph_bytes")
"""Numbers of a metrics line that no two runs share."""
LEFTOVERS = (".tmp", ".lock", ".replaced-by-motionrft")


@dataclass
class Tally:
    """What came of the kills of one command."""

    kills: int = 0
    runs: int = 0
    faults: list[str] | None = None


def forked(words: list[str], log: Path) -> int:
    """Run the program in a child that shares what is imported; its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    with contextlib.suppress(BaseException):
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        code = program.run(words)
    os._exit(code)


def finished(child: int) -> int:
    """The child's exit code; negative for the signal that ended it."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def preload() -> None:
    """Import all of ours once, so that a child begins with the work."""
    for package in (motionrft, motionrft_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def kill_until_done(
    words: list[str], again: str, log: Path, span: float, most: int, draws: random.Random
) -> tuple[int, int]:
    """Kill up to `most` times at moments drawn from `span` seconds; the kills, and the last exit code."""
    kills, code = 0, 0
    while True:
        # Killed before there was a folder, there is nothing to go on with: the same call once more.
        child = forked([*words, again] if Path(words[-1]).exists() else words, log)
        if kills < most:
            time.sleep(draws.uniform(0, span))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        code = finished(child)
        if code != -signal.SIGKILL:
            return kills, code
        kills += 1


def batter(command: Command, place: Path, kills: int, seed: int, say: Callable[[str], None]) -> Tally:
    """Kill a command `kills` times in all, a few times a run."""
    preload()
    words = command.scene(place)
    log = place / "log"
    began = time.monotonic()
    code = finished(forked([*words, "--out", str(place / "whole")], log))
    span = time.monotonic() - began
    tally = Tally(faults=[] if code == 0 else [f"the whole run ended with {code}: {log.read_text()[-500:]}"])
    assert tally.faults is not None
    draws = random.Random(seed)
    while tally.kills < kills and not tally.faults:
        tally.runs += 1
        folder = place / f"run-{tally.runs}"
        folder.mkdir()
        most = min(draws.randint(1, 4), kills - tally.kills)
        done, code = kill_until_done(
            [*words, "--out", str(folder / "out")], command.again, log, span, most, draws
        )
        tally.kills += done
        faults = [] if code == 0 else [f"run {tally.runs} ended with {code}: {log.read_text()[-500:]}"]
        faults += [] if faults else list(differences(command, place / "whole", folder / "out"))
        faults += [f"run {tally.runs} left {name}" for name in leftovers(folder)]
        tally.faults += faults
        say(f"{tally.kills} kills in {tally.runs} runs, {len(tally.faults)} faults")
    return tally


def differences(command: Command, whole: Path, shot: Path) -> Iterator[str]:
    """Files that a run that was killed made otherwise than one that was not."""
    for glob in command.made:
        names = {path.relative_to(whole) for path in whole.glob(glob) if path.is_file()}
        if not names:
            yield f"{glob}: the whole run has none"
        if names != (found := {path.relative_to(shot) for path in shot.glob(glob) if path.is_file()}):
            yield f"{glob}: {sorted(map(str, names ^ found))[:3]} in one of them only"
        for name in sorted(names & found):
            if _content(whole / name) != _content(shot / name):
                yield f"{shot / name} differs"


def _content(path: Path) -> Any:
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
    return path.read_bytes()


def leftovers(folder: Path) -> list[str]:
    """Names below the folder that only a writer, or its lock, may carry."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(name for name in names if name.endswith(LEFTOVERS))
