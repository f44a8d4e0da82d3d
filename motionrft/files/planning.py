"""Where the results of many files go: a name of its own for each, members of batches and parts of motions among them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.cuts import cuts_of
from motionrft.files.motions import motion_files, own_names, stream_motions
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion


@dataclass(frozen=True)
class Job:
    """One input file and the path of its result, without ending; a batch or a split motion adds numbers to it.

    prefix: of a file that names its motions: their results lie in the folder of `stem`, each called as its motion with
        this before it. None for any other file.
    """

    source: Path
    stem: Path
    prefix: str | None = None

    def place(self, name: str) -> Path:
        """The path, without ending, of a result that is called `name`: the file's stem with something behind it, or a
        name of its own from a table of cuts."""
        if self.prefix is not None:
            return self.stem.parent / f"{self.prefix}{name}"
        own = self.source.stem
        return self.stem.with_name(self.stem.name + name.removeprefix(own) if name.startswith(own) else name)


def plan_jobs(inputs: Sequence[Path], out: Path, ending: str, options: ReadingOptions) -> list[Job]:
    """One job a file, each with outputs of its own below `out`; a single file may name its output in full.

    A single folder's sub-folders are kept; several inputs keep theirs from the folder they have in common. Files that
    would meet in one name (`a.npy` and `a.bvh`, or `a_000.npy` and a batch `a.npy`) get their old ending or a number
    into it; motions that their file names are called so, with the file's name before it where they would meet others.

    Raises:
        UserError: no file, or a table of cuts gives one name twice.
    """
    files = motion_files(inputs, batch=len(inputs) > 1)
    if options.cuts:
        files = [path for path in files if cuts_of(path, options.cuts)]
    if not files:
        raise UserError(
            "no motion file to convert" + (" that the table of cuts names." if options.cuts else ".")
        )
    if len(inputs) == 1 and not inputs[0].is_dir() and out.suffix == ending and not out.is_dir():
        prefix = f"{out.stem}_" if own_names(files[0]) else None
        return [Job(files[0], out.with_suffix(""), prefix)]
    base = inputs[0] if len(inputs) == 1 and inputs[0].is_dir() else _common_folder(files)
    stems = [out / _below(path, base).with_suffix("") for path in files]
    jobs = _apart(files, stems)
    _check_names(jobs, options)
    return _named_apart(_away_from_members(jobs, options))


def _apart(files: Sequence[Path], stems: Sequence[Path]) -> list[Job]:
    """Jobs whose stems are all different."""
    crowded = {stem for stem, count in Counter(stems).items() if count > 1}
    taken: set[Path] = set()
    jobs = []
    for path, stem in zip(files, stems, strict=True):
        wanted = stem.with_name(f"{stem.name}_{path.suffix[1:]}") if stem in crowded else stem
        free = _free(wanted, taken | (set(stems) - {stem}))
        taken.add(free)
        jobs.append(Job(path, free))
    return jobs


def _free(wanted: Path, taken: set[Path]) -> Path:
    free, number = wanted, 2
    while free in taken:
        free, number = wanted.with_name(f"{wanted.name}_{number}"), number + 1
    return free


def _away_from_members(jobs: list[Job], options: ReadingOptions) -> list[Job]:
    """The jobs, batches renamed of which a member would be called as another file's result is.

    A file is looked into only where another's name is its own with the digits behind it that a member gets.
    """
    stems = {job.stem for job in jobs}
    suspects = {job.stem.with_name(owner) for job in jobs for owner in with_owners(job.stem.name)[1:]} & stems
    taken = set(stems)
    moved = []
    for job in jobs:
        if job.stem in suspects and not own_names(job.source):
            endings = [place.name.removeprefix(job.stem.name) for place in result_places(job, options)]
            if endings != [""]:
                stem = _free_for(job, endings, taken - {job.stem})
                job = Job(job.source, stem)
                taken |= {stem.with_name(stem.name + ending) for ending in endings}
        moved.append(job)
    return moved


def _free_for(job: Job, endings: Sequence[str], taken: set[Path]) -> Path:
    """The job's stem, or the nearest one with which none of its results is called as something else."""
    number, stem = 1, job.stem
    while any(stem.with_name(stem.name + ending) in taken for ending in endings):
        ending = f"_{job.source.suffix[1:]}" + (f"_{number}" if number > 1 else "")
        number, stem = number + 1, job.stem.with_name(job.stem.name + ending)
    return stem


def _named_apart(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with a prefix for files that name their motions: none, or one with which no two results meet."""
    named = [own_names(job.source) for job in jobs]
    stems = {job.stem for job, names in zip(jobs, named, strict=True) if not names}
    taken: set[Path] = set()
    made = []
    for job, names in zip(jobs, named, strict=True):
        prefix, number = "", 1
        while names and any(
            place in taken or any(place.with_name(owner) in stems for owner in with_owners(place.name))
            for place in (job.stem.parent / f"{prefix}{name}" for name in names)
        ):
            prefix = f"{job.stem.name}_" if number == 1 else f"{job.stem.name}_{number}_"
            number += 1
        made.append(replace(job, prefix=prefix) if names else job)
        taken |= {made[-1].place(name) for name in names}
    return made


def with_owners(name: str) -> list[str]:
    """The name, and those of batches or split motions of which it would be a member: `y_000`, and `y`."""
    names = [name]
    while found := re.fullmatch(r"(.+)_\d{3,}", names[-1], re.ASCII):
        names.append(found[1])
    return names


def result_places(job: Job, options: ReadingOptions) -> list[Path]:
    """The paths, without ending, of every result of a job; the file is read for it."""
    found = stream_motions(job.source, options)
    return [job.place(motion.name) for motion in found if isinstance(motion, Motion)]


def own_places(jobs: Sequence[Job]) -> list[Path]:
    """The paths, without ending, of the results that are called as their file calls its motions."""
    return [job.place(name) for job in jobs if job.prefix is not None for name in own_names(job.source)]


def named_places(jobs: Sequence[Job], options: ReadingOptions) -> list[Path]:
    """The paths, without ending, of the results that a table of cuts names."""
    return [
        job.place(cut.name)
        for job in jobs
        for cut in cuts_of(job.source, options.cuts)
        if cut.name is not None
    ]


def _check_names(jobs: Sequence[Job], options: ReadingOptions) -> None:
    """Refuse a table of cuts that calls two results the same."""
    double = next((path for path, count in Counter(named_places(jobs, options)).items() if count > 1), None)
    if double is not None:
        raise UserError(f"the table of cuts calls two results {double.name}: give each a name of its own.")


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in files]))


def _below(path: Path, base: Path) -> Path:
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(base)))
