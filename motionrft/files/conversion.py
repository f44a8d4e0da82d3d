"""Converting many motion files: where each result goes, and one file at a time, in this process or in several."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch

from motionrft.errors import UserError
from motionrft.files.captions import first_caption
from motionrft.files.checks import check_finite, check_resampling
from motionrft.files.motions import FileFault, Motion, Reading, doubt, motion_files, stream_motions
from motionrft.files.parallel import mapped
from motionrft.files.writing import write_motion
from motionrft.pictures import FORMATS as PICTURES
from motionrft.pictures import write_picture
from motionrft.representations.convert import convert
from motionrft.representations.mirror import mirror
from motionrft.representations.names import HYMOTION, JOINTS, REPRESENTATIONS, representation_name
from motionrft.representations.resample import resample

BVH: Final = "bvh"
TARGETS: Final = (*REPRESENTATIONS, BVH, *PICTURES)
"""What motions can be converted to: a representation, or a file format."""
USUAL_FPS: Final = {HYMOTION: 30.0}
"""Frame rate of a representation's models where it is not 20."""


@dataclass(frozen=True)
class Conversion:
    """What is done to every motion.

    target: one of `TARGETS`.
    reading: how the inputs are read.
    fps: rate of the results. None: a representation gets its usual rate (20, hymotion 30), for an array does not say
        its own; BVH and pictures keep the motion's.
    suffix: of array files. unit: of BVH files.
    """

    target: str
    reading: Reading = field(default_factory=Reading)
    fps: float | None = None
    mirror: bool = False
    suffix: str = ".npy"
    unit: str = "centimetres"

    @property
    def ending(self) -> str:
        return self.suffix if self.target in REPRESENTATIONS else f".{self.target}"


@dataclass(frozen=True)
class Job:
    """One input file and the path of its result, without ending; a batch adds numbers to it."""

    source: Path
    stem: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one file: the files written, what was guessed, what looks odd, and what was wrong.

    skipped: results that were there already were kept.
    """

    source: Path
    outputs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    faults: tuple[FileFault, ...] = ()
    skipped: bool = False


def target_name(text: str) -> str:
    """The canonical target for a name or an alias such as `22x3`.

    Raises:
        UserError: nothing is converted to it.
    """
    if text.lower() in TARGETS:
        return text.lower()
    try:
        return representation_name(text)
    except UserError:
        raise UserError(f"--to {text}: unknown. Legal: {', '.join(TARGETS)}, motionrft.") from None


def plan_jobs(inputs: Sequence[Path], out: Path, conversion: Conversion) -> list[Job]:
    """One job a file, each with an output of its own below `out`; a single file may name its output in full.

    A single folder's sub-folders are kept; several inputs keep theirs from the folder they have in common. Files that
    would meet in one name (`a.npy` and `a.bvh`; `y_000.npy` and the first motion of a batch `y.npy`) get their old
    ending or a number into it.
    """
    files = motion_files(inputs)
    if not files:
        raise UserError("no motion file to convert.")
    if len(inputs) == 1 and not inputs[0].is_dir() and out.suffix == conversion.ending and not out.is_dir():
        return [Job(files[0], out.with_suffix(""))]
    base = inputs[0] if len(inputs) == 1 and inputs[0].is_dir() else _common_folder(files)
    stems = [out / _below(path, base).with_suffix("") for path in files]
    crowded = {stem for stem, count in Counter(stems).items() if count > 1}
    crowded |= _batches_that_meet_others(dict(zip(stems, files, strict=True)), conversion)
    taken, planned = set[Path](), set(stems)
    jobs = []
    for path, stem in zip(files, stems, strict=True):
        wanted = stem.with_name(f"{stem.name}_{path.suffix[1:]}") if stem in crowded else stem
        free, number = wanted, 2
        while free in taken or (free != stem and free in planned):
            free, number = wanted.with_name(f"{wanted.name}_{number}"), number + 1
        taken.add(free)
        jobs.append(Job(path, free))
    return jobs


def _batches_that_meet_others(files: dict[Path, Path], conversion: Conversion) -> set[Path]:
    """Stems of batches of which a numbered member would be called as another file's result is.

    A batch is counted only where there is a file called like one of its members could be: that needs reading it.
    """
    wanted: dict[Path, set[int]] = {}
    for stem in files:
        base, _, number = stem.name.rpartition("_")
        if stem.with_name(base or "_") in files and re.fullmatch(r"\d{3,}", number, re.ASCII):
            wanted.setdefault(stem.with_name(base), set()).add(int(number))
    meeting = set()
    for stem, numbers in wanted.items():
        found = stream_motions(files[stem], _reading_of(files[stem], conversion))
        if any(isinstance(each, Motion) and each.batched and each.index in numbers for each in found):
            meeting.add(stem)
    return meeting


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in files]))


def _below(path: Path, base: Path) -> Path:
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(base)))


def existing_outputs(jobs: Sequence[Job], conversion: Conversion) -> list[Path]:
    """Files that are there already and are called as a result is, or as a member of a batch would be."""
    stems = {job.stem for job in jobs}
    found = []
    for folder in {stem.parent for stem in stems}:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.endswith(conversion.ending):
                name = path.name.removesuffix(conversion.ending)
                base, _, number = name.rpartition("_")
                member = re.fullmatch(r"\d{3,}", number, re.ASCII) is not None and folder / base in stems
                if member or folder / name in stems:
                    found.append(path)
    return found


def output_path(job: Job, index: int | None, conversion: Conversion) -> Path:
    """The file of a job's result; `index` is its place in a batch, None where the file holds one motion."""
    name = job.stem.name if index is None else f"{job.stem.name}_{index:03d}"
    return job.stem.with_name(name + conversion.ending)


def convert_files(
    jobs: Sequence[Job], conversion: Conversion, processes: int = 1, keep: bool = False
) -> Iterator[Outcome]:
    """Run all jobs, results in input order.

    Args:
        processes: how many to use; 1 stays in this one.
        keep: leave a job out whose result is there already.
    """
    work = partial(convert_file, conversion=conversion, keep=keep)
    yield from mapped(work, jobs, processes)


def convert_file(job: Job, conversion: Conversion, keep: bool = False) -> Outcome:
    """Convert every motion in one file; what cannot be read or written is in the outcome, not raised."""
    if keep and output_path(job, None, conversion).exists():
        return Outcome(job.source, skipped=True)
    outputs: list[Path] = []
    notes: list[str] = []
    warnings: list[str] = []
    faults: list[FileFault] = []
    kept = 0
    for motion in stream_motions(job.source, _reading_of(job.source, conversion)):
        if isinstance(motion, FileFault):
            faults.append(motion)
            continue
        path = output_path(job, motion.index if motion.batched else None, conversion)
        if keep and path.exists():
            kept += 1
            continue
        try:
            write_target(path, convert_motion(motion, conversion), conversion)
            outputs.append(path)
        except UserError as error:
            message = str(error)
            named = message if str(job.source) in message else f"{job.source}: {message}"
            faults.append(FileFault(job.source, named))
        notes += [motion.note] if motion.note else []
        warnings += [text for text in (doubt(motion),) if text]
    return Outcome(job.source, tuple(outputs), tuple(notes), tuple(warnings), tuple(faults), skipped=kept > 0)


def _reading_of(source: Path, conversion: Conversion) -> Reading:
    """BVH is resampled as it is read, on rotations; everything else after, where the target's rate is known."""
    rate = conversion.fps
    if rate is None and source.suffix.lower() == ".bvh" and conversion.target in REPRESENTATIONS:
        rate = USUAL_FPS.get(conversion.target, 20.0)
    return replace(conversion.reading, fps=rate)


def convert_motion(motion: Motion, conversion: Conversion) -> Motion:
    """A motion in the target's representation (joints for BVH and pictures), at the rate of the conversion.

    Raises:
        UserError: the motion's skeleton has no such representation.
    """
    target = conversion.target if conversion.target in REPRESENTATIONS else JOINTS
    values = torch.from_numpy(motion.array)
    if conversion.mirror:
        values = mirror(values, motion.representation)
    rate = _target_rate(motion, conversion)
    if rate != motion.fps:
        check_resampling(len(motion), motion.fps, rate, str(motion.source))
        values = resample(values, motion.representation, motion.fps, rate)
    values = convert(values[None], motion.representation, target)[0]
    check_finite(values.numpy(), f"{motion.source}: as {target}")
    return replace(motion, array=values.numpy(), representation=target, fps=rate)


def _target_rate(motion: Motion, conversion: Conversion) -> float:
    """The rate of the result: as asked, or what a reader of the bare array will take it to have."""
    if conversion.fps is not None or conversion.target not in REPRESENTATIONS:
        return conversion.fps or motion.fps
    kit = motion.array.shape[-1] == 251 or (motion.representation == JOINTS and motion.array.shape[-2] == 21)
    return motion.fps if kit else USUAL_FPS.get(conversion.target, 20.0)


def write_target(path: Path, motion: Motion, conversion: Conversion) -> None:
    """Write a converted motion as the conversion asks; a caption beside the source goes into pictures."""
    if conversion.target in PICTURES:
        caption = first_caption(motion.source.with_suffix(".txt"))
        write_picture(path, [motion.array], [caption] if caption else [], motion.fps)
    else:
        write_motion(path, motion, conversion.unit)
