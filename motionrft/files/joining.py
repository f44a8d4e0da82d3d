"""Motion files put after each other, into one motion."""

from collections.abc import Sequence
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.files.captions import first_caption
from motionrft.files.composed_texts import TOGETHER_TEMPLATES, clause_of, unmannered
from motionrft.files.conversion import Conversion, convert_motion, target_rate, write_target
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.representations.convert import convert
from motionrft.representations.join import BLEND, join
from motionrft.representations.names import JOINTS
from motionrft.representations.together import meanwhile

_USUAL = 20.0
"""Frames a second at which `BLEND` counts."""


def join_files(
    paths: Sequence[Path],
    out: Path,
    conversion: Conversion,
    blend: int | None = None,
    together: bool = False,
) -> Motion:
    """Read every motion of the files, in their order, join them, and write one motion, with a caption where all have one.

    Args:
        conversion: how files are read and what is written; its rate is that at which clips are joined, or if it has none
            that of the results of each, or of the first where they differ.
        blend: frames that a clip shares with the next; None: as long as `BLEND` is at 20 frames a second.
        together: lay the arms of the second motion over the first, instead of putting it after it.

    Returns:
        What was written, with all notes and warnings of the motions it is of.

    Raises:
        UserError: a file cannot be read, a clip is too short to be joined, or its arms are not all of it.
    """
    motions = _read(paths, conversion)
    if len(motions) < 2:
        raise UserError(f"{paths[0]}: one motion alone; --join takes two or more.")
    if together and len(motions) > 2:
        raise UserError(f"{paths[0]}: {len(motions)} motions; --meanwhile takes a body and the arms over it.")
    rate = motions[0].fps
    shared = max(1, round(BLEND * rate / _USUAL)) if blend is None else blend
    clips = [convert(torch.from_numpy(m.array)[None], m.representation, JOINTS)[0].double() for m in motions]
    joined = meanwhile(clips[0], clips[1], shared) if together else join(clips, shared)
    whole = Motion(
        joined.float().numpy(),
        JOINTS,
        rate,
        out,
        name=out.stem,
        text=_told(motions, together),
        notes=tuple(note for motion in motions for note in motion.notes),
        warnings=tuple(f"{m.source}: {warning}" for m in motions for warning in m.warnings),
    )
    result = convert_motion(whole, conversion)
    write_target(out, result, conversion)
    return result


def _read(paths: Sequence[Path], conversion: Conversion) -> list[Motion]:
    """The motions of all files, at one rate."""
    rate, motions = conversion.fps, list[Motion]()
    for path in paths:
        found = read_motions(path, fps=rate, options=conversion.reading)
        rate = rate or target_rate(found[0], conversion)
        if any(motion.fps != rate for motion in found):
            found = read_motions(path, fps=rate, options=conversion.reading)
        motions += found
    return motions


def _told(motions: Sequence[Motion], together: bool) -> str | None:
    """What the joined motion shows, where every part says so in a clause."""
    captions = [m.text or ("" if m.batched else first_caption(m.source.with_suffix(".txt"))) for m in motions]
    clauses = [clause for clause in map(clause_of, captions) if clause]
    if len(clauses) < len(motions):
        return None
    alike = len({clause.subject for clause in clauses}) == 1
    subject = (clauses[0] if alike else unmannered(clauses[0])).subject
    phrases = [clause.phrase for clause in clauses]
    if together:
        return TOGETHER_TEMPLATES[0].format(subject=subject, first=phrases[0], second=phrases[1])
    return f"{subject} {', then '.join(phrases)}"
