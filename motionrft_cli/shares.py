"""A share of the work: that of one of several processes (`torchrun`), or of one job of an array (`--shard I/N`).

What is shared are the items of the input, dealt out in turn, so that a share is known before anything is computed and
the results can be put back into the order of the input.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from motionrft.errors import RunError, UserError, UserErrorElsewhere
from motionrft_cli.job_parts import COMMAND, POSITION, SHARD
from motionrft_cli.options import Call
from motionrft_cli.processes import speaks

if TYPE_CHECKING:
    from motionrft.training.distribution import Distribution

T = TypeVar("T")

Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="only the I-th of N shares of the input, from 1/N: for job arrays"),
]


@dataclass(frozen=True)
class Share:
    """The items number, number + count, ... of an input. `several`: other processes have the rest of it."""

    number: int
    count: int
    company: "Distribution"
    _lines: list[int] = field(default_factory=list)
    _inputs: Any = field(default_factory=sha256)

    @property
    def several(self) -> bool:
        return self.company.processes > 1

    @property
    def number_of_jobs(self) -> int:
        """Of an array that this job is one of; 1 where processes share, or nobody does."""
        return 1 if self.several else self.count

    def of(self, items: Iterable[T]) -> Iterator[T]:
        """This share's items."""
        return islice(items, self.number, None, self.count)

    def noted(self, items: Iterable[T], name: Callable[[T], str]) -> Iterator[T]:
        """The items of the whole input, remembered by their names: jobs of one array must have seen the same ones."""
        for item in items:
            self.note(name(item))
            yield item

    def note(self, said: str) -> None:
        """Remember something that all jobs of an array must have been told alike."""
        self._inputs.update(said.encode("utf-8", "surrogateescape") + b"\0")

    def placed(self, document: Mapping[str, Any], place: int) -> dict[str, Any]:
        """A line of --json; one of a job says its place among the whole input, by which `motionrft merge` sorts."""
        self._lines.append(place)
        return {**document, **({POSITION: place} if self.number_of_jobs > 1 else {})}

    def sign(self, call: Call[Any]) -> dict[str, Any]:
        """What a job says of itself: which share this was, and of what."""
        asked = json.dumps(call.preset.result_fields(), sort_keys=True, default=str)
        share = f"{self.number + 1}/{self.count}"
        return {
            SHARD: share,
            COMMAND: call.command,
            "asked": sha256(asked.encode()).hexdigest()[:16],
            "inputs": self._inputs.hexdigest()[:16],
        }

    def signed(self, call: Call[Any]) -> dict[str, Any]:
        """A job's last line, without which it has not come to its end."""
        return {**self.sign(call), "lines": len(self._lines)}

    def merged(self, own: list[T], place: Callable[[T], Any]) -> list[T]:
        """What all processes made, in the order of `place`: in the first process; the others get nothing.

        Raises:
            RunError: a process ended without having made its share.
        """
        parts = self.company.gather(own)
        if not all(isinstance(part, list) for part in parts):
            from motionrft.training.distribution import LOST_ONE

            raise RunError(LOST_ONE)
        return sorted((each for part in parts for each in part), key=place) if self.company.main else []


@contextmanager
def share_of(call: Call[Any], shard: str | None) -> Iterator[Share]:
    """The share of this process or job; all of the input where there is but one.

    Raises:
        UserError: `shard` is no share, or several processes were started beside it.
    """
    number, count = (0, 1) if shard is None else _parsed(shard)
    if shard is not None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("--shard and torchrun both divide the work: use one of them.")
    from motionrft.training.distribution import Distribution

    with Distribution.join(call.device(), own_card=False) as company:
        company.advice = "Start all of them again."
        if company.processes > 1:
            number, count = company.rank, company.processes
        share = Share(number, count, company)
        yield share
        if share.number_of_jobs > 1 and not call.dry_run:
            call.console.emit(share.signed(call))


def refuse_several(command: str) -> None:
    """Raise `UserError` in every process where a launcher started several of a command that runs in one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        kind = UserError if speaks() else UserErrorElsewhere
        raise kind(
            f"{command} runs in one process; {count} were started. Start it without torchrun or accelerate launch."
        )


def _parsed(shard: str) -> tuple[int, int]:
    """From 0: `2/4` is (1, 4)."""
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--shard {shard}: write it as I/N with I from 1 to N, such as 1/4 to 4/4.")
    return int(found[1]) - 1, int(found[2])
