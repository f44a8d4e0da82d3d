"""One door to every kind of picture: `write_picture` chooses by the name's ending and writes whole files only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from motionrft.errors import UserError
from motionrft.pictures.kinds import PICTURES
from motionrft.pictures.strip import check_motions, strip
from motionrft.pictures.video import write_gif, write_mp4
from motionrft.pictures.viewer import viewer_html
from motionrft.training.atomic import atomic_file


def write_picture(
    path: str | Path,
    joints_list: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    fps: float = 20.0,
    format: str | None = None,
    theme: str = "light",
) -> Path:
    """Draw motions into one file: several stand side by side (png: one row each).

    Args:
        path: where to; its ending says what kind unless `format` does. Folders are made, a file there is replaced.
        joints_list: motions, each (T, 22, 3) or (T, 21, 3), metres, Y up.
        captions: one a motion, or none.
        fps: of every motion.
        format: "png" (a strip of poses), "gif", "mp4" (needs ffmpeg) or "html" (the 3D page).
        theme: "light" or "dark", for the kinds that cannot follow their reader's choice.

    Returns:
        The path written.

    Raises:
        UserError: an unknown kind, a motion that cannot be drawn, a frame rate that is none, or no ffmpeg.
    """
    path = Path(path)
    kind = (format or path.suffix).removeprefix(".").lower()
    if kind not in PICTURES:
        raise UserError(
            f"{path}: {kind or 'no ending'!r} is no kind of picture; choose one of {', '.join(PICTURES)}."
        )
    if not fps > 0:
        raise UserError(f"{path}: {fps} frames a second cannot be played; give a rate above 0.")
    checked = check_motions(joints_list, captions)
    with atomic_file(path) as temporary:
        if kind == "png":
            _still(checked, captions, fps, theme).save(temporary, format="PNG", optimize=True)
        elif kind == "gif":
            write_gif(temporary, checked, captions, fps, theme)
        elif kind == "mp4":
            write_mp4(temporary, checked, captions, fps, theme)
        else:
            temporary.write_text(viewer_html(checked, captions, fps), encoding="utf-8")
    return path


def write_strip(
    path: str | Path,
    motions: Sequence[np.ndarray],
    caption: str = "",
    labels: Sequence[str] = (),
    fps: float = 20.0,
    theme: str = "light",
) -> Path:
    """Write one prompt's motions (T, J, 3) as rows of poses under its caption, PNG; see `strip` for the arguments."""
    with atomic_file(path) as temporary:
        strip(motions, caption, labels, fps=fps, theme=theme).save(temporary, format="PNG", optimize=True)
    return Path(path)


def _still(motions: Sequence[np.ndarray], captions: Sequence[str], fps: float, theme: str) -> Image.Image:
    """One motion carries its caption on top; several carry theirs as labels of their rows."""
    if len(motions) == 1:
        return strip(motions, captions[0] if captions else "", fps=fps, theme=theme)
    return strip(motions, labels=captions, fps=fps, theme=theme)
