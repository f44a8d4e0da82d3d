"""--log of the commands that train: what the console sees of a run, other programs see too."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionrft.errors import UserError
from motionrft_cli.console import Console
from motionrft_cli.options import Call
from motionrft_cli.processes import speaks
from motionrft_cli.training_progress import LoopProgress

if TYPE_CHECKING:
    from motionrft.training.trackers import Tracker

LOOKS = "watch.jsonl"
_PICTURES = "plots"

Log = Annotated[
    str | None,
    typer.Option(
        "--log",
        metavar="tensorboard|wandb|trackio",
        rich_help_panel="Output",
        help="show the run elsewhere too, several with commas: tensorboard, wandb, trackio",
    ),
]
"""Give it to a command as `log: Log = None`, and `followed` the value."""


class Followers:
    """The trackers of one run; they are opened when its first loop begins, which knows where it goes on.

    Args:
        out: the run's folder. settings: its preset. anew: what an earlier run wrote into the folder is replaced.
    """

    def __init__(self, names: Sequence[str], out: Path, settings: Mapping[str, Any], anew: bool = False):
        self.names, self.out, self.settings, self.anew = names, out, settings, anew
        self.step = 0
        self._trackers: list[Tracker] = []
        self._seen = self._size = 0

    def open(self, step: int) -> None:
        """Open them, once, for what follows after `step` updates."""
        from motionrft.training.trackers import TRACKERS

        if not self._trackers:
            self._trackers = [
                TRACKERS[name][1](self.out, self.settings, step, self.anew) for name in self.names
            ]
            if step:
                self._new_looks()  # those of the process before are known

    def numbers(self, step: int, values: Mapping[str, Any]) -> None:
        """Whatever of these are numbers."""
        self.step = step
        known = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        for tracker in self._trackers:
            tracker.numbers(step, known)

    def looks(self) -> None:
        """What the watch has written since the last call."""
        for line in self._new_looks():
            values = {f"watch/{name}": value for name, value in line.items() if name != "update"}
            self.numbers(line["update"], values)

    def _new_looks(self) -> list[dict[str, Any]]:
        from motionrft.training.lines import read_lines

        file = self.out / LOOKS
        size = file.stat().st_size if file.is_file() else 0
        if size == self._size:
            return []
        lines = read_lines(file)
        new, self._size, self._seen = lines[self._seen :], size, len(lines)
        return new

    def close(self) -> None:
        """The last look, the pictures of the run, and the end."""
        if self._trackers:
            self.looks()
        for tracker in self._trackers:
            for path in sorted((self.out / _PICTURES).glob("*.png")):
                tracker.picture(self.step, f"samples/{path.stem}", path)
            tracker.close()


class FollowedProgress(LoopProgress):
    """A loop's progress on the console and elsewhere. prefix: before each number, where a run has several loops."""

    def __init__(self, console: Console, description: str, followers: Followers, prefix: str):
        super().__init__(console, description)
        self.followers, self.prefix = followers, prefix

    def start(
        self, total: int | None, done: int, unit: str = "updates", seconds: float | None = None
    ) -> None:
        if unit == "updates":
            self.followers.open(done)
        super().start(total, done, unit, seconds)

    def update(self, done: int, metrics: Mapping[str, float]) -> None:
        super().update(done, metrics)
        if metrics:
            self.followers.looks()
            self.followers.numbers(
                done, {f"{self.prefix}{name}": value for name, value in metrics.items() if name != "update"}
            )


def check_log(log: str, dry_run: bool = False) -> None:
    """Refuse what `followed` would refuse, before a folder is looked at.

    Raises:
        UserError: a tracker is unknown or not installed, or nothing will be run.
    """
    from motionrft.training.trackers import named_trackers

    if dry_run:
        raise UserError("--log is of a run: leave it away with --dry-run")
    named_trackers(log)


@contextmanager
def followed(
    call: Call[Any], log: str | None, staged: bool = True
) -> Iterator[Callable[[str], LoopProgress]]:
    """Context that gives what makes the progress of a stage.

    Args:
        log: of --log. staged: whether the names of stages go before those of numbers.

    Raises:
        UserError: a tracker is unknown or not installed; before anything is done.
    """
    if log is None or not speaks():
        yield lambda stage: LoopProgress(call.console, stage)
        return
    from motionrft.training.trackers import named_trackers

    followers = Followers(named_trackers(log), call.out or Path(), call.preset.plain(), call.overwrite)
    try:
        yield lambda stage: FollowedProgress(call.console, stage, followers, f"{stage}/" if staged else "")
    finally:
        followers.close()
