"""Converting many motion files: where each result goes, and one file at a time, in this process or in several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import torch

from motionrft.errors import UserError
from motionrft.files.arrays import read_arrays
from motionrft.files.captions import first_caption, mirror_caption
from motionrft.files.checks import check_finite, check_frames, check_resampling
from motionrft.files.formats.base import FileFault, WritingOptions, Written
from motionrft.files.formats.table import format_named, write_as
from motionrft.files.motions import stream_motions
from motionrft.files.parallel import mapped
from motionrft.files.planning import Job, named_places, own_places, with_owners
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion
from motionrft.files.words import ARRAYS, target_words
from motionrft.pictures import write_picture
from motionrft.pictures.kinds import PICTURES
from motionrft.representations.convert import convert
from motionrft.representations.mirror import mirror
from motionrft.representations.names import (
    HYMOTION,
    JOINTS,
    REPRESENTATIONS,
    guess_representation,
    representation_name,
)
from motionrft.representations.resample import resample
from motionrft.training.atomic import write_text

USUAL_FPS: Final = {HYMOTION: 30.0}
"""Frame rate of a representation's models where it is not 20."""
Existing = Literal["refuse", "keep", "replace"]
"""What becomes of a result that is there already."""


@dataclass(frozen=True)
class Conversion:
    """What is done to every motion.

    target: one of `motionrft.files.words.target_words()`.
    reading: how the inputs are read.
    fps: rate of the results. None: a representation gets its usual rate (20, hymotion 30), for an array does not say
        its own; other formats and pictures keep the motion's.
    suffix: of array files. writing: how other formats are written.
    """

    target: str
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    fps: float | None = None
    mirror: bool = False
    suffix: str = ".npy"
    writing: WritingOptions = field(default_factory=WritingOptions)

    @property
    def unsaid_fps(self) -> float | None:
        """The rate of the results where their files do not say it and readers will take another one; else None."""
        usual = USUAL_FPS.get(self.target, 20.0)
        silent = self.target in REPRESENTATIONS and self.suffix == ".npy"
        return self.fps if silent and self.fps not in (None, usual) else None

    @property
    def ending(self) -> str:
        if self.target in REPRESENTATIONS:
            return self.suffix
        return f".{self.target}" if self.target in PICTURES else format_named(self.target).suffixes[0]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: the files written, what was recognised, what looks odd, and what was wrong.

    written: how well each output holds its motion.
    """

    source: Path
    outputs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    faults: tuple[FileFault, ...] = ()
    kept: tuple[Path, ...] = ()
    written: tuple[Written, ...] = ()

    @property
    def skipped(self) -> bool:
        """Whether results that were there already were kept."""
        return bool(self.kept)


def target_name(text: str) -> str:
    """The canonical target for a name or an alias such as `22x3`.

    Raises:
        UserError: nothing is converted to it.
    """
    if text.lower() in target_words():
        return text.lower()
    try:
        return representation_name(text)
    except UserError:
        raise UserError(f"--to {text}: unknown. Legal: {', '.join(target_words())}, motionrft.") from None


def existing_outputs(jobs: Sequence[Job], conversion: Conversion) -> list[Path]:
    """Files that are there already and are called as a result is, or as a member of a batch would be."""
    stems = {job.stem for job in jobs if job.prefix is None}
    stems |= {*named_places(jobs, conversion.reading), *own_places(jobs)}
    found = []
    for folder in sorted({stem.parent for stem in stems}):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.endswith(conversion.ending):
                name = path.name.removesuffix(conversion.ending)
                found += [path] if any(folder / each in stems for each in with_owners(name)) else []
    return found


def output_path(job: Job, name: str, conversion: Conversion) -> Path:
    """The file of a job's result that is called `name`, see `Job.place`."""
    place = job.place(name)
    return place.with_name(place.name + conversion.ending)


def convert_files(
    jobs: Sequence[Job], conversion: Conversion, processes: int = 1, existing: Existing = "refuse"
) -> Iterator[Outcome]:
    """Run all jobs, results in input order.

    Args:
        processes: how many to use; 1 stays in this one.
        existing: what becomes of results that are there already: a fault, left as they are, or replaced.
    """
    work = partial(convert_file, conversion=conversion, existing=existing)
    yield from mapped(work, jobs, processes)


def convert_file(job: Job, conversion: Conversion, existing: Existing = "refuse") -> Outcome:
    """Convert every motion in one file; what cannot be read or written is in the outcome, not raised."""
    outcome = Outcome(job.source)
    whole = output_path(job, job.source.stem, conversion)
    if existing == "keep" and job.prefix is None and whole.exists():
        try:
            _check_kept(whole, conversion)
        except UserError as error:
            return replace(outcome, faults=(FileFault(job.source, str(error)),))
        return replace(outcome, kept=(whole,))
    for motion in stream_motions(job.source, _reading_of(job.source, conversion)):
        if isinstance(motion, FileFault):
            outcome = replace(outcome, faults=(*outcome.faults, motion))
        else:
            outcome = _with_motion(
                outcome, motion, output_path(job, motion.name, conversion), conversion, existing
            )
    return outcome


def _check_kept(path: Path, conversion: Conversion) -> None:
    """Raise `UserError` where a result that is there holds another representation than is asked for: their files have
    one ending."""
    if conversion.target not in REPRESENTATIONS:
        return
    found = guess_representation(read_arrays(path).array.shape)
    if found not in (None, conversion.target):
        raise UserError(
            f"{path}: exists and is {found}, not {conversion.target}. Add --overwrite to replace it."
        )


def _with_motion(
    outcome: Outcome, motion: Motion, path: Path, conversion: Conversion, existing: Existing
) -> Outcome:
    """The outcome with one more motion converted."""
    try:
        if path.exists() and existing == "keep":
            _check_kept(path, conversion)
            return replace(outcome, kept=(*outcome.kept, path))
        if path.exists() and existing == "refuse":
            raise UserError(f"{path}: exists. Add --overwrite to replace it.")
        written = write_target(path, convert_motion(motion, conversion), conversion)
    except UserError as error:
        message = str(error)
        named = message if str(outcome.source) in message else f"{outcome.source}: {message}"
        return replace(outcome, faults=(*outcome.faults, FileFault(outcome.source, named)))
    return replace(
        outcome,
        outputs=(*outcome.outputs, path),
        written=(*outcome.written, written),
        notes=(*outcome.notes, *motion.notes),
        warnings=(
            *outcome.warnings,
            *(f"{motion.name}: {each}" if motion.batched else each for each in motion.warnings),
        ),
    )


def _reading_of(source: Path, conversion: Conversion) -> ReadingOptions:
    """Skeletons are resampled as they are read, on rotations; arrays after, where the representation is known."""
    rate = conversion.fps
    arrays = source.suffix.lower() in format_named(ARRAYS).suffixes
    if rate is None and not arrays and conversion.target in REPRESENTATIONS:
        rate = USUAL_FPS.get(conversion.target, 20.0)
    return replace(conversion.reading, fps=rate)


def convert_motion(motion: Motion, conversion: Conversion) -> Motion:
    """A motion in the target's representation, at the rate of the conversion: joints for pictures; a file format takes
    any and converts itself. What a mirrored one is said to show is mirrored too.

    Raises:
        UserError: the motion's skeleton has no such representation.
    """
    target = JOINTS if conversion.target in PICTURES else motion.representation
    target = conversion.target if conversion.target in REPRESENTATIONS else target
    values, text = torch.from_numpy(motion.array), motion.text
    if conversion.mirror:
        values, text = mirror(values, motion.representation), text and mirror_caption(text)
    rate = target_rate(motion, conversion)
    if rate != motion.fps:
        check_resampling(len(values), motion.fps, rate, str(motion.source))
        values = resample(values, motion.representation, motion.fps, rate)
    values = convert(values[None], motion.representation, target)[0]
    check_finite(values.numpy(), f"{motion.source}: as {target}")
    check_frames(len(values), f"{motion.source}: as {target} at {rate:g} fps")  # nobody could read it back
    return replace(motion, array=values.numpy(), representation=target, fps=rate, text=text)


def target_rate(motion: Motion, conversion: Conversion) -> float:
    """The rate of the result: as asked, or what a reader of the bare array will take it to have."""
    if conversion.fps is not None or conversion.target not in REPRESENTATIONS:
        return conversion.fps or motion.fps
    kit = motion.array.shape[-1] == 251 or (motion.representation == JOINTS and motion.array.shape[-2] == 21)
    return motion.fps if kit else USUAL_FPS.get(conversion.target, 20.0)


def write_target(path: Path, motion: Motion, conversion: Conversion) -> Written:
    """Write a converted motion as the conversion asks; its caption goes into pictures, and beside other files.

    A text file that is there stays, unless it belongs to a motion that is replaced.
    """
    replaced = path.exists()
    beside = first_caption(motion.source.with_suffix(".txt"))
    caption = motion.text or (mirror_caption(beside) if conversion.mirror else beside)
    if conversion.target in PICTURES:
        joints = motion.array.reshape(len(motion), -1, 3)
        write_picture(path, [joints], [caption] if caption else [], motion.fps)
        return Written()
    name = ARRAYS if conversion.target in REPRESENTATIONS else conversion.target
    written = write_as(format_named(name), path, motion, conversion.writing)
    if motion.text and (replaced or not path.with_suffix(".txt").exists()):
        write_text(path.with_suffix(".txt"), motion.text + "\n")
    return written
