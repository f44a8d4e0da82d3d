"""A row of the table of faults: a folder of its own, calls of the real executable in it, and what was wrong with them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from tests.cli.conftest import clean_environment

LONGEST = 300.0
"""Seconds that any call may take."""
LEFTOVERS = (".tmp", ".lock", ".old", ".replaced-by-motionrft")
"""Ends of names that only a writer, or its lock, may carry."""


@dataclass(frozen=True)
class Ended:
    """How a call ended: seconds of the wall and of the processor, bytes at its peak."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    processor: float
    peak: int

    @property
    def errors(self) -> list[str]:
        """What stderr says of faults, a line each."""
        return [line for line in self.err.splitlines() if line.startswith(("error:", "warning: skipped"))]


@dataclass
class Scene:
    """Where a row plays. Everything that is not as it should be goes to `faults`; a row goes on after one."""

    place: Path
    faults: list[str] = field(default_factory=list)
    calls: list[Ended] = field(default_factory=list)

    def run(
        self,
        *words: str | bytes | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        prepare: Callable[[], None] | None = None,
        **environment: str,
    ) -> Ended:
        """Call the program as a user does, started in the row's folder."""
        command = [sys.executable, "-m", "motionrft_cli.main", *words]
        return self.execute(command, stdin, cwd, prepare, **environment)

    def shell(self, line: str, **environment: str) -> Ended:
        """A line of bash in which `motionrft` is the program."""
        head = f'motionrft() {{ {sys.executable} -m motionrft_cli.main "$@"; }}\n'
        return self.execute(["bash", "-c", head + line], b"", None, None, **environment)

    def execute(
        self,
        command: Sequence[str | bytes | Path],
        stdin: bytes,
        cwd: Path | None,
        prepare: Callable[[], None] | None,
        longest: float = LONGEST,
        **environment: str,
    ) -> Ended:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                cwd=cwd or self.place,
                env=clean_environment(**environment),
                preexec_fn=prepare,
            )
            watchdog = Timer(longest, process.kill)
            watchdog.start()
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            watchdog.cancel()
            seconds = time.monotonic() - began
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode(errors="backslashreplace"))
        words = tuple(os.fsdecode(word) for word in command)
        ended = Ended(
            words, process.returncode, *texts, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10
        )
        return self.saw(ended)

    def saw(self, ended: Ended) -> Ended:
        """Take a call into the row's account; none may end in a traceback or be killed by the watchdog."""
        self.calls.append(ended)
        self.want("Traceback" not in ended.err, f"a traceback: {ended.err[-400:]}")
        self.want(ended.seconds < LONGEST - 1 or ended.code != -signal.SIGKILL, "a hang")
        return ended

    def want(self, true: object, otherwise: str) -> bool:
        """A condition of the row, and the sentence where it does not hold."""
        if not true:
            self.faults.append(f"call {len(self.calls)}: {otherwise}")
        return bool(true)

    def refused(self, ended: Ended, *said: str, code: int = 2, lines: int = 1) -> Ended:
        """A call that must end with a code, in so many lines that say something, with nothing on stdout."""
        self.want(ended.code == code, f"exit {ended.code}, not {code}: {ended.err[-300:]}")
        self.want(
            len(ended.errors) == lines, f"{len(ended.errors)} messages, not {lines}: {ended.err[-500:]}"
        )
        self.want(code == 3 or not ended.out, f"stdout: {ended.out[:200]!r}")
        for words in said:
            self.want(words in ended.err, f"nothing of {words!r}: {ended.err[-400:]}")
        return ended

    def done(self, ended: Ended, *said: str, code: int = 0) -> Ended:
        """A call that must go well, or with a code that it may."""
        self.want(ended.code == code, f"exit {ended.code}, not {code}: {ended.err[-400:]}")
        for words in said:
            self.want(words in ended.err, f"nothing of {words!r}: {ended.err[-400:]}")
        return ended

    def clean(self, *folders: Path) -> None:
        """Nothing half-written lies in the folders."""
        for folder in folders:
            left = [str(path) for path in folder.rglob("*") if path.name.endswith(LEFTOVERS)]
            self.want(not left, f"left behind: {left[:3]}")


Row = Callable[[Scene], None]
ROWS: dict[int, Row] = {}


def row(number: int) -> Callable[[Row], Row]:
    """Enter a function as a row of the table; its docstring is the fault."""

    def enter(function: Row) -> Row:
        ROWS[number] = function
        return function

    return enter
