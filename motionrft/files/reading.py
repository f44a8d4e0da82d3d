"""How motion files are read: one object for convert, score, eval and data sets alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from motionrft.errors import UserError
from motionrft.files.cuts import Cut
from motionrft.files.joint_maps import JointMap

TPose = Literal["auto", "keep", "drop"]


@dataclass(frozen=True)
class ReadingOptions:
    """What a reader is told about files, and which part of them is wanted.

    representation: what arrays hold; None recognises it. BVH and other named formats say it themselves.
    fps: the rate that is wanted; None keeps each file's own. source_fps: the rate of files that do not say it.
    joint_map: which joint is which, for skeletons; None recognises it.
    unit: a key of `units.UNITS`; None guesses it from the body. up: a key of `up_axis.AXES`, or auto.
    t_pose: what becomes of a reference pose in front. auto drops rows that the motion jumps out of, drop also a
        T-pose that it moves out of, keep neither.
    start, end: seconds of each file's own time. split_long: seconds after which a motion is cut.
    cuts: per file (see `cuts.cuts_of`), the parts that are wanted; empty: whole files.
    """

    representation: str | None = None
    fps: float | None = None
    source_fps: float | None = None
    joint_map: JointMap | None = None
    unit: str | None = None
    up: str = "auto"
    t_pose: TPose = "auto"
    start: float | None = None
    end: float | None = None
    split_long: float | None = None
    cuts: Mapping[str, tuple[Cut, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Frames [start, stop) of a recording, at its own rate. name: of the result, or None: as its file.

    number: its place among the parts of a motion that was split, None for a whole one.
    """

    start: int
    stop: int
    name: str | None = None
    number: int | None = None
    text: str | None = None


def parts_of(
    frames: int, fps: float, options: ReadingOptions, cuts: tuple[Cut, ...], file: str
) -> Iterator[Part]:
    """The parts of a motion of so many frames that the options ask for, in order.

    Raises:
        UserError: a part lies outside the motion or holds fewer than two frames.
    """
    wanted = [
        (cut, _whole(cut, frames, fps, file)) for cut in cuts or (Cut(options.start or 0.0, options.end),)
    ]
    pieces = [(cut, *piece) for cut, whole in wanted for piece in _pieces(*whole, fps, options.split_long)]
    for number, (cut, start, stop) in enumerate(pieces):
        numbered = options.split_long is not None or (cut.name is None and len(pieces) > 1)
        yield Part(start, stop, cut.name, number if numbered else None, cut.caption)


def _whole(cut: Cut, frames: int, fps: float, file: str) -> tuple[int, int]:
    start, stop = cut.frames(frames, fps)
    if stop - start < 2:
        raise UserError(
            f"{file}: {_said(cut)} holds {max(0, stop - start)} frames of its {frames / fps:.4g} s: "
            f"a motion has at least two."
        )
    return start, stop


def _pieces(start: int, stop: int, fps: float, seconds: float | None) -> Iterator[tuple[int, int]]:
    """Pieces of so many seconds; a rest shorter than two frames goes to the last one."""
    step = max(2, round(seconds * fps)) if seconds is not None else stop - start
    while start < stop:
        last = start + step
        last = stop if stop - last < 2 else last
        yield start, last
        start = last


def _said(cut: Cut) -> str:
    end = "its end" if cut.end is None else f"{cut.end:g} s"
    return f"the part from {cut.start:g} s to {end}"
