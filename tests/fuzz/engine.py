"""One case: a good set of files, one of them damaged by a seed, read; and what came of it."""

import hashlib
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from motionrft.errors import RunError, UserError
from motionrft.training.weights import MANIFEST, write_manifest
from tests.fuzz.mutations import damaged, misshapen
from tests.fuzz.readers import READERS, Reader

SLOWEST = 10.0
"""Seconds that a case may take."""


@dataclass(frozen=True)
class Outcome:
    """kind: `right`, `refused` or `unhandled`. said: the message, or the traceback. seconds: what it took."""

    kind: str
    said: str
    seconds: float


class _TooLong(BaseException):
    """Raised by the alarm; no reader may mistake it for a fault of the file."""


@contextmanager
def good_files(name: str) -> Iterator[Path]:
    """The good files of a reader, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="motionrft-fuzz-") as folder:
        READERS[name].make(Path(folder))
        yield Path(folder)


def try_case(name: str, good: Path, seed: int) -> Outcome:
    """Damage a copy of the good files by the seed and read it."""
    reader = READERS[name]
    draws = random.Random(int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:8], "little"))
    with tempfile.TemporaryDirectory(prefix="motionrft-fuzz-") as folder:
        place = Path(folder) / "case"
        shutil.copytree(good, place)
        _damage(reader, place, draws)
        began = time.monotonic()
        try:
            with _alarm():
                reader.read(place)
            return Outcome("right", "", time.monotonic() - began)
        except (UserError, RunError) as error:
            kind = "refused" if _is_one_line(str(error)) else "unhandled"
            return Outcome(kind, str(error), time.monotonic() - began)
        except (Exception, _TooLong):
            return Outcome("unhandled", traceback.format_exc(), time.monotonic() - began)


def _is_one_line(message: str) -> bool:
    """A preset's mistakes are a line each; everything else is one line that is not endless."""
    return 0 < len(message) < 20_000 and all(line.strip() for line in message.splitlines())


def _damage(reader: Reader, place: Path, draws: random.Random) -> None:
    files = sorted({path for glob in reader.damage for path in place.glob(glob) if path.is_file()})
    file = draws.choice(files)
    if reader.shapes:
        torch.save(misshapen(torch.load(file, weights_only=True), draws), file)
        return
    file.write_bytes(damaged(file.read_bytes(), draws))
    if reader.vouched:
        folder = next(parent for parent in file.parents if (parent / MANIFEST).is_file())
        write_manifest(folder)


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise _TooLong(f"longer than {SLOWEST:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SLOWEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
