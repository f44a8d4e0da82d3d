"""`prefer` where everything is asked of a server, and its kills at chosen moments."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motionrft.generators.folder import save_generator
from tests.generators.token_families import tiny_tokens


def small_prefer(folder: Path, data: Path) -> list[str]:
    """Words of a run: six prompts and their twelve motions, by a tiny generator that reads words (`WordEncoder`)."""
    made = tiny_tokens("token-decoder")
    object.__setattr__(made.config, "text", "words")
    save_generator(made, folder / "generator")
    settings = (
        "kinds={integrity: 2, temporal: 2, frequency: 2}", "held_out=0.5", "pairs.margin=0.1", "writer.at_once=1",
        "judge.parallel=1", "judge.checks=1", "judge.force=true",
    )  # fmt: skip
    words = ["prefer", "--generator", str(folder / "generator"), "--candidates", "2", "--data", str(data)]
    words += ["--writer", "endpoint", "--judge", "endpoint"]
    return [*words, *(word for setting in settings for word in ("--set", setting))]


@contextmanager
def dying(moment: int) -> Iterator[None]:
    """Inside, the process kills itself before its file operation number `moment`: what is written, flushed or renamed."""
    done = [0]
    whole: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in ("fsync", "replace")}

    def counted(name: str) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole[name](*given, **named)

        return operation

    for name in whole:
        setattr(os, name, counted(name))
    try:
        yield
    finally:
        for name, operation in whole.items():
            setattr(os, name, operation)
