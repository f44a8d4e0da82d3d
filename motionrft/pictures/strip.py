"""A strip: poses of a motion side by side, evenly spaced in time. Several motions give one row each (before, after)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from motionrft.errors import UserError
from motionrft.pictures.body import body_of, check_joints, figure_points
from motionrft.pictures.camera import Framing, framing
from motionrft.pictures.lettering import font_for, wrap, write_lines
from motionrft.pictures.raster import THEMES, Theme, draw_figure, draw_ground, draw_path

OVERSAMPLING = 2
FLOOR_METRES = 0.75
MARGIN = 20


def strip(
    motions: Sequence[np.ndarray],
    caption: str = "",
    labels: Sequence[str] = (),
    *,
    poses: int = 8,
    fps: float = 20.0,
    theme: str = "light",
    height: int = 300,
) -> Image.Image:
    """Draw `poses` poses of every motion, one row a motion, all seen from one angle at one size.

    Args:
        motions: each (T, 22, 3) or (T, 21, 3), metres, Y up.
        caption: written above, usually the prompt.
        labels: one a motion, written over its row ("before", "after").
        poses: how many; fewer when the motion has fewer frames.
        theme: "light" or "dark".
        height: of one row of figures in pixels.

    Raises:
        UserError: nothing to draw, a motion that cannot be drawn, or a label too few.
    """
    checked = check_motions(motions, labels)
    if poses < 1:
        raise UserError(f"poses: {poses} is not a number of poses; ask for 1 or more.")
    look = THEMES[theme]
    scene = framing(checked, [motion[:, 0] for motion in checked])
    width = _panel_width(scene, height)
    rows = [_row(motion, scene, min(poses, len(motion)), (width, height), look, fps) for motion in checked]
    return _sheet(rows, caption, labels, look)


def check_motions(motions: Sequence[np.ndarray], labels: Sequence[str]) -> list[np.ndarray]:
    """The motions as checked arrays (T, J, 3); errors name the motion by its label or number."""
    if not len(motions):
        raise UserError("There is no motion to draw: give at least one array (T, 22, 3).")
    if labels and len(labels) != len(motions):
        raise UserError(
            f"{len(motions)} motions came with {len(labels)} labels; give one label a motion, or none."
        )
    names = labels or [f"motion {number}" for number in range(1, len(motions) + 1)]
    return [check_joints(motion, name) for motion, name in zip(motions, names, strict=True)]


def pose_frames(frames: int, poses: int) -> list[int]:
    """Evenly spaced frame numbers, first and last included; the middle one for a single pose."""
    if poses == 1:
        return [frames // 2]
    return [round(i * (frames - 1) / (poses - 1)) for i in range(poses)]


def _panel_width(scene: Framing, height: int) -> int:
    return round(height * 2 * scene.half_width / scene.seen_height)


def _row(
    motion: np.ndarray, scene: Framing, poses: int, panel: tuple[int, int], look: Theme, fps: float
) -> Image.Image:
    """Panels of one motion (T, J, 3) in a line, with the time under each."""
    width, height = panel
    foot = 24
    row = Image.new("RGB", (width * poses, height + foot), look.background)
    points, pen = figure_points(motion), ImageDraw.Draw(row)
    for column, frame in enumerate(pose_frames(len(motion), poses)):
        row.paste(draw_panel(motion, points, frame, scene, panel, look), (column * width, 0))
        spot = ((column + 0.5) * width, height + foot / 2)
        text = f"{frame / fps:.1f} s"
        pen.text(spot, text, fill=look.faint, font=font_for(text, 14), anchor="mm")
    return row


def draw_panel(
    motion: np.ndarray, points: np.ndarray, frame: int, scene: Framing, panel: tuple[int, int], look: Theme
) -> Image.Image:
    """One pose of a motion (T, J, 3) on its piece of floor, drawn large and shrunk."""
    width, height = panel[0] * OVERSAMPLING, panel[1] * OVERSAMPLING
    image = Image.new("RGB", (width, height), look.background)
    root = motion[frame, 0] * [1.0, 0.0, 1.0] + [0.0, scene.ground, 0.0]  # (3,)
    camera = scene.camera(width, height, root)
    floor = min(FLOOR_METRES, scene.half_width * 0.96)
    draw_ground(image, camera, root, floor, look, scene.ground)
    draw_path(image, camera, motion[:, 0], frame, look, scene.ground, floor)
    draw_figure(image, camera, points[frame], body_of(motion), look, scene.ground)
    return image.resize(panel, Image.Resampling.LANCZOS)


def _sheet(rows: list[Image.Image], caption: str, labels: Sequence[str], look: Theme) -> Image.Image:
    """Rows below each other under the caption, each under its label."""
    width = max(max(row.width for row in rows), 320) + 2 * MARGIN
    lines = wrap(caption, 20, width - 2 * MARGIN) if caption else []
    head = MARGIN + round(26 * len(lines)) + (8 if lines else 0)
    label_height = 26 if labels else 0
    height = head + sum(row.height + label_height for row in rows) + MARGIN // 2
    sheet = Image.new("RGB", (width, height), look.background)
    pen = ImageDraw.Draw(sheet)
    write_lines(pen, (MARGIN, MARGIN), lines, 20, look.text)
    y = head
    for number, row in enumerate(rows):
        if labels:
            pen.text((MARGIN, y + 4), labels[number], fill=look.faint, font=font_for(labels[number], 17))
            y += label_height
        sheet.paste(row, (MARGIN, y))
        y += row.height
    return sheet
