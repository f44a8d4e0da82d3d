"""The clips of a data set in the making: which files are in it, their parts, and each clip in every representation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.files.captions import mirror_caption, text_lines
from motionrft.files.clip_names import name_fault
from motionrft.files.clip_writing import save_clip
from motionrft.files.cuts import cuts_of
from motionrft.files.dataset_layout import FOLDERS, TEXTS
from motionrft.files.dataset_recipe import DatasetRecipe, DatasetReport
from motionrft.files.formats.base import FileFault
from motionrft.files.motions import motion_files, read_motions
from motionrft.files.parallel import mapped
from motionrft.files.planning import with_owners
from motionrft.files.reading import ReadingOptions
from motionrft.representations.convert import convert
from motionrft.representations.joints import mirror_joints
from motionrft.representations.names import JOINTS
from motionrft.training.distribution import ALONE, Distribution


@dataclass(frozen=True)
class WrittenClip:
    """A clip of a file. frames: of its features; fewer than the recipe's least were not written. text: of a cut."""

    name: str
    frames: int
    text: str | None = None


@dataclass
class ClipWriter:
    """Writes the clips of a data set. rows, captions: by clip. kept: clips that are in it, with the row of each.

    packed: called with every clip that is kept, once all its files are there.
    company: whose processes convert the files; what is kept is decided, and known, in its first.
    """

    recipe: DatasetRecipe
    rows: Mapping[str, Mapping[str, str]]
    captions: Mapping[str, list[str]]
    folder: Path
    report: DatasetReport
    packed: Callable[[str], None] | None = None
    company: Distribution = ALONE
    kept: dict[str, str] = field(default_factory=dict)

    def write(
        self, motions: list[Path], progress: Callable[[int, int], None] | None = None
    ) -> dict[str, str]:
        """Convert all clips of the files and folders; the ids of those kept, each with the id of its row.

        Raises:
            UserError: no clip is left, or two would have one name.
        """
        paths = self.company.known(lambda: self._chosen_files(motions))
        work = partial(convert_clips, recipe=self.recipe, folder=self.folder)
        converted = mapped(work, paths, self.recipe.jobs, self.company)
        for done, found in enumerate(converted, 1):
            for outcome in found:
                self._keep(paths[done - 1], outcome)
            if progress is not None:
                progress(done, len(paths))
        self.company.first(self._count)
        return self.kept

    def _count(self) -> None:
        report = self.report
        if not self.kept:
            raise UserError(
                f"no clip is left: {len(report.too_short)} too short, "
                f"{len(report.without_captions)} without captions, {len(report.faults)} unreadable."
            )
        report.clips = len(self.kept)

    def _keep(self, path: Path, outcome: WrittenClip | FileFault) -> None:
        """Give a written clip its captions and its row, or say why it is not in the set."""
        if isinstance(outcome, FileFault):
            self.report.faults.append(outcome)
            return
        row = next((name for name in (outcome.name, path.stem) if name in self.rows), None)
        captions = self.captions.get(outcome.name) or ([outcome.text] if outcome.text else None)
        captions = captions or self.captions.get(path.stem)
        if row is None or not captions:
            self.report.without_captions.append(outcome.name)
            discard_clip(outcome.name, self.folder)
        elif outcome.frames < self.recipe.min_frames:
            self.report.too_short.append(outcome.name)
        else:
            names = write_texts(outcome.name, captions, self.recipe.mirror, self.folder)
            self.kept |= dict.fromkeys(names, row)
            self.report.frames += outcome.frames * len(names)
            if self.packed is not None:
                for name in names:
                    self.packed(name)

    def _chosen_files(self, motions: list[Path]) -> list[Path]:
        """The files that have a split and captions, or that a table of cuts names.

        Raises:
            UserError: there is none, or clips of two files would have one name.
        """
        options, chosen = self.recipe.reading, dict[str, Path]()
        for path in motion_files(motions):
            clip = path.stem
            if options.cuts:
                if cuts_of(path, options.cuts):
                    chosen[str(path)] = path
            elif clip not in self.rows:
                continue
            elif clip in chosen:
                fault = f"{path}: the clip {clip} is {chosen[clip]} already."
                self.report.faults.append(FileFault(path, fault))
            elif not self.captions.get(clip):
                self.report.without_captions.append(clip)
            else:
                chosen[clip] = path
        if not chosen:
            raise UserError(
                "no motion has a row in --splits and a line in --captions (or one in --cut); "
                "a clip's id is its file's stem, or its name in the table of cuts."
            )
        paths = list(chosen.values())
        self._check_names(paths)
        return paths

    def _check_names(self, paths: list[Path]) -> None:
        """Refuse clips that would be called alike: parts of a file, or the mirror image of another."""
        clips = clip_names(paths, self.recipe.reading)
        seen: dict[str, Path] = {}
        for clip, path in clips:
            if clip in seen:
                raise UserError(
                    f"{path}: a clip of it would be called {clip}, as one of {seen[clip]}. Rename one."
                )
            seen[clip] = path
        for clip, path in clips:
            if self.recipe.reading.split_long and (
                owner := next((o for o in with_owners(clip)[1:] if o in seen), None)
            ):
                raise UserError(
                    f"{path}: may be called as a part of {seen[owner]} will be ({clip}). Rename one."
                )
            if self.recipe.mirror and f"M{clip}" in seen:
                raise UserError(
                    f"{path}: its mirror image would be called M{clip}, which is a clip of its own. Rename one."
                )


def clip_names(paths: list[Path], options: ReadingOptions) -> list[tuple[str, Path]]:
    """The names of the clips that files give, as far as they are known before reading."""
    if not options.cuts:
        return [(path.stem, path) for path in paths]
    return [
        (cut.name or f"{path.stem}_{number:03d}", path)
        for path in paths
        for number, cut in enumerate(cuts_of(path, options.cuts))
    ]


def convert_clips(path: Path, recipe: DatasetRecipe, folder: Path) -> list[WrittenClip | FileFault]:
    """Write every clip of a file in every representation; what is wrong with the file is among the results."""
    try:
        motions = read_motions(path, fps=recipe.fps, options=recipe.reading)
        if any(motion.batched for motion in motions) and len(motions) > 1:
            raise UserError(
                f"{path}: holds {len(motions)} motions; a data set has one a file. Convert them first."
            )
        found: list[WrittenClip | FileFault] = []
        for motion in motions:
            clip = path.stem if motion.batched else motion.name
            if (fault := name_fault(clip)) is not None:
                raise UserError(f"{path}: the clip name {clip!r} {fault}.")
            joints = convert(torch.from_numpy(motion.array)[None], motion.representation, JOINTS)
            frames = joints.shape[1] - 1
            if frames >= recipe.min_frames:
                save_clip(clip, joints, folder)
                if recipe.mirror:
                    save_clip(f"M{clip}", mirror_joints(joints), folder)
            found.append(WrittenClip(clip, frames, motion.text))
    except UserError as error:
        said = str(error)
        return [FileFault(path, said if str(path) in said else f"{path}: {said}")]
    return found


def is_image(clip: str, kept: Mapping[str, str], recipe: DatasetRecipe) -> bool:
    """Whether a kept clip is the mirror image that was made of another."""
    return recipe.mirror and clip[:1] == "M" and kept.get(clip[1:]) == kept[clip]


def discard_clip(clip: str, folder: Path) -> None:
    """Take a clip and its mirror image out of the folder again."""
    for name in (clip, f"M{clip}"):
        for place in FOLDERS.values():
            (folder / place / f"{name}.npy").unlink(missing_ok=True)


def write_texts(clip: str, captions: list[str], mirrored: bool, folder: Path) -> list[str]:
    """Write the text file of a clip, and of its mirror image; the ids written."""
    texts = {clip: captions}
    if mirrored:
        texts[f"M{clip}"] = [mirror_caption(caption) for caption in captions]
    for name, lines in texts.items():
        (folder / TEXTS / f"{name}.txt").write_text(text_lines(lines), encoding="utf-8")
    return list(texts)
