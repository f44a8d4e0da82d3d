"""Where the results of many files go: a name of its own for each, members of batches and parts of motions among them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.cuts import cuts_of
from motionrft.files.motions import motion_files, stream_motions
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion


@dataclass(frozen=True)
class Job:
    """One input file and the path of its result, without ending; a batch or a split motion adds numbers to it."""

    source: Path
    stem: Path

    def place(self, name: str) -> Path:
        """The path, without ending, of a result that is called `name`: the file's stem with something behind it, or a
        name of its own from a table of cuts."""
        own = self.source.stem
        return self.stem.with_name(self.stem.name + name.removeprefix(own) if name.startswith(own) else name)


def plan_jobs(inputs: Sequence[Path], out: Path, ending: str, options: ReadingOptions) -> list[Job]:
    """One job a file, each with outputs of its own below `out`; a single file may name its output in full.

    A single folder's sub-folders are kept; several inputs keep theirs from the folder they have in common. Files that
    would meet in one name (`a.npy` and `a.bvh`, or `a_000.npy` and a batch `a.npy`) get their old ending or a number
    into it.

    Raises:
        UserError: no file, or a table of cuts gives one name twice.
    """
    files = motion_files(inputs)
    if options.cuts:
        files = [path for path in files if cuts_of(path, options.cuts)]
    if not files:
        raise UserError(
            "no motion file to convert" + (" that the table of cuts names." if options.cuts else ".")
        )
    if len(inputs) == 1 and not inputs[0].is_dir() and out.suffix == ending and not out.is_dir():
        return [Job(files[0], out.with_suffix(""))]
    base = inputs[0] if len(inputs) == 1 and inputs[0].is_dir() else _common_folder(files)
    stems = [out / _below(path, base).with_suffix("") for path in files]
    jobs = _apart(files, stems)
    _check_names(jobs, options)
    return _away_from_members(jobs, options)


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
    """The jobs, those renamed whose name a member of another file's batch will have.

    Files are looked into only where a name ends in the digits that a member would get.
    """
    by_stem = {job.stem: job for job in jobs}
    suspects = {job.stem: _owners(job.stem, by_stem) for job in jobs}
    made: dict[Path, set[Path]] = {}
    moved = []
    taken = set(by_stem)
    for job in jobs:
        for owner in suspects[job.stem]:
            if owner not in made:
                made[owner] = set(result_places(by_stem[owner], options))
                taken |= made[owner]
        if any(job.stem in made[owner] for owner in suspects[job.stem]):
            job = Job(
                job.source, _free(job.stem.with_name(f"{job.stem.name}_{job.source.suffix[1:]}"), taken)
            )
            taken.add(job.stem)
        moved.append(job)
    return moved


def _owners(stem: Path, stems: Iterable[Path]) -> list[Path]:
    """Other stems of which this one could be a member: `y` for `y_000` and for `y_000_001`."""
    shorter = [stem.name]
    while found := re.fullmatch(r"(.+)_\d{3,}", shorter[-1]):
        shorter.append(found[1])
    known = set(stems)
    return [path for name in shorter[1:] if (path := stem.with_name(name)) in known]


def result_places(job: Job, options: ReadingOptions) -> list[Path]:
    """The paths, without ending, of every result of a job; the file is read for it."""
    found = stream_motions(job.source, options)
    return [job.place(motion.name) for motion in found if isinstance(motion, Motion)]


def _check_names(jobs: Sequence[Job], options: ReadingOptions) -> None:
    """Refuse a table of cuts that calls two results the same."""
    named = [
        job.place(cut.name)
        for job in jobs
        for cut in cuts_of(job.source, options.cuts)
        if cut.name is not None
    ]
    double = next((path for path, count in Counter(named).items() if count > 1), None)
    if double is not None:
        raise UserError(f"the table of cuts calls two results {double.name}: give each a name of its own.")


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([os.path.abspath(path.parent) for path in files]))


def _below(path: Path, base: Path) -> Path:
    return Path(os.path.relpath(os.path.abspath(path), os.path.abspath(base)))
