"""Motion files put after each other, into one motion."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from motionrft.errors import UserError
from motionrft.files.conversion import Conversion, convert_motion, write_target
from motionrft.files.motions import read_motions
from motionrft.files.recording import Motion
from motionrft.representations.convert import convert
from motionrft.representations.join import BLEND, join
from motionrft.representations.names import JOINTS
from motionrft.representations.together import meanwhile

RATE = 20.0
"""Frames a second of a joined motion whose rate nobody names."""


def join_files(
    paths: Sequence[Path], out: Path, conversion: Conversion, blend: int = BLEND, together: bool = False
) -> Motion:
    """Read every motion of the files, in their order, join them, and write one motion.

    Args:
        conversion: how files are read and what is written; its rate is that at which clips are joined.
        blend: frames that a clip shares with the next.
        together: lay the arms of the second motion over the first, instead of putting it after it.

    Returns:
        What was written.

    Raises:
        UserError: a file cannot be read, a clip is too short to be joined, or its arms are not all of it.
    """
    rate = conversion.fps or RATE
    motions = [
        motion for path in paths for motion in read_motions(path, fps=rate, options=conversion.reading)
    ]
    if len(motions) < 2:
        raise UserError(f"{paths[0]}: one motion alone; --join takes two or more.")
    if together and len(motions) > 2:
        raise UserError(f"{paths[0]}: {len(motions)} motions; --meanwhile takes a body and the arms over it.")
    clips = [convert(torch.from_numpy(m.array)[None], m.representation, JOINTS)[0] for m in motions]
    clips = [clip.double() for clip in clips]
    joined = (meanwhile(clips[0], clips[1], blend) if together else join(clips, blend)).float().numpy()
    whole = replace(motions[0], array=joined, representation=JOINTS, fps=rate, source=out, name=out.stem)
    result = convert_motion(whole, conversion)
    write_target(out, result, conversion)
    return result
