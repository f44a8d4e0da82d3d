"""Signals as flags: a loop saves at its next safe point instead of dying in the middle of a write.

SIGINT once: save and end with 130; twice: end at once. SIGTERM: save and end with 75. SIGUSR1: save and go
on. Imports no torch, so that a command line can name `Stopped` cheaply.
"""

import signal
import threading
from types import FrameType
from typing import Any

INTERRUPTED = 130
TERMINATED = 75


class Stopped(Exception):
    """A signal ended the run after its state was saved; `exit_code` is what the process should end with."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Signals:
    """Context in which SIGINT, SIGTERM and SIGUSR1 only raise flags. Idle outside the main thread."""

    def __init__(self) -> None:
        self.stop: int | None = None
        """Exit code asked for, or None."""
        self.save = False
        """A checkpoint was asked for."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self.save = True
        elif number == signal.SIGTERM:
            self.stop = TERMINATED
        elif self.stop is None:
            self.stop = INTERRUPTED
        else:
            raise KeyboardInterrupt
