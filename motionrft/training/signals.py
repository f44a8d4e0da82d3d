"""Signals that end a run in order instead of in the middle of a write.

Inside the loop they are flags, read at the next safe point: SIGINT once: save and end with 130; twice: end at once.
SIGTERM, or SIGHUP of a closed terminal: save and end with 75. SIGUSR1: save and go on. Around the loop nothing is at
stake, and SIGTERM and SIGHUP end at once. Under `nohup` SIGHUP stays ignored. Signals that a system lacks never
come there: Windows has neither SIGHUP nor SIGUSR1.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from motionrft.errors import Interrupted

INTERRUPTED, TERMINATED = 130, 75  # exit codes of SIGINT, and of SIGTERM and SIGHUP
_ENDING_NAMES, _SAVING_NAMES, _CLOSED = ("SIGTERM", "SIGHUP"), ("SIGUSR1",), "SIGHUP"

Handler = Callable[[int, FrameType | None], None]


def lacking() -> list[str]:
    """Names of the signals above that this system does not have."""
    return [name for name in (*_ENDING_NAMES, *_SAVING_NAMES) if not hasattr(signal, name)]


def _known(names: tuple[str, ...]) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


class _Handlers:
    """Installs handlers on entering and puts back the earlier ones on leaving. Idle outside the main thread."""

    def __init__(self, handlers: dict[signal.Signals, Handler]) -> None:
        self.handlers = handlers
        self.before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.handlers.items():
                if not (number.name == _CLOSED and signal.getsignal(number) == signal.SIG_IGN):
                    self.before[number] = signal.signal(number, handler)

    def remove(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}


class OrderlyEnd:
    """Context for what surrounds a run's loop: SIGTERM and SIGHUP raise `Interrupted`, SIGUSR1 has nothing to save.

    Contexts may lie in each other. The first signal ends all of them; one that comes while they clean up is no news.
    """

    _depth, _ended = 0, False

    def __init__(self, message: str) -> None:
        self.message = message
        ending: dict[signal.Signals, Handler] = dict.fromkeys(_known(_ENDING_NAMES), self._end)
        saving: dict[signal.Signals, Handler] = dict.fromkeys(
            _known(_SAVING_NAMES), lambda number, frame: None
        )
        self._handlers = _Handlers(ending | saving)

    @classmethod
    def begin(cls) -> None:
        """The end has begun by other means than a signal."""
        OrderlyEnd._ended = True

    def __enter__(self) -> "OrderlyEnd":
        OrderlyEnd._ended = OrderlyEnd._ended and OrderlyEnd._depth > 0
        OrderlyEnd._depth += 1
        self._handlers.install()
        return self

    def __exit__(self, *exception: object) -> None:
        self._handlers.remove()
        OrderlyEnd._depth -= 1

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not OrderlyEnd._ended:
            OrderlyEnd._ended = True
            raise Interrupted(self.message, TERMINATED)


class Signals:
    """Context in which SIGINT, SIGTERM, SIGHUP and SIGUSR1 only raise flags."""

    def __init__(self) -> None:
        self.stop: int | None = None
        """Exit code asked for, or None."""
        self.save = False
        """A checkpoint was asked for."""
        numbers = (signal.SIGINT, *_known((*_ENDING_NAMES, *_SAVING_NAMES)))
        self._handlers = _Handlers(dict.fromkeys(numbers, self._receive))

    def __enter__(self) -> "Signals":
        self._handlers.install()
        return self

    def __exit__(self, *exception: object) -> None:
        self._handlers.remove()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number in _known(_SAVING_NAMES):
            self.save = True
        elif number in _known(_ENDING_NAMES):
            self.stop = TERMINATED
        elif self.stop is None:
            self.stop = INTERRUPTED
        else:
            raise KeyboardInterrupt
