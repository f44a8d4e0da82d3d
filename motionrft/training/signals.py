"""Signals as flags: a loop saves at its next safe point instead of dying in the middle of a write.

SIGINT once: save and end with 130; twice: end at once. SIGTERM: save and end with 75. SIGUSR1: save and go
on."""

import signal
import threading
from types import FrameType
from typing import Any

from motionrft.errors import Interrupted

INTERRUPTED, TERMINATED = 130, 75  # exit codes of SIGINT and SIGTERM


class OrderlyEnd:
    """Context in which SIGTERM raises `Interrupted` where it arrives: for the parts of a run around its loop."""

    def __init__(self, message: str) -> None:
        self.message = message
        self._before: Any = None

    def __enter__(self) -> "OrderlyEnd":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._receive)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        raise Interrupted(self.message, TERMINATED)


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
