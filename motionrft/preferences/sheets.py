"""Frame sheets: one motion as numbered poses over several rows, for a judge that looks at pictures.

The view follows the root from the front at three quarters; every sheet of a prompt has one scale. Left limbs are orange,
right limbs blue, as in every figure of this package. Frame number and time stand under each pose.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from motionrft.pictures.body import check_joints, figure_points
from motionrft.pictures.camera import framing
from motionrft.pictures.lettering import font_for
from motionrft.pictures.raster import THEMES
from motionrft.pictures.strip import draw_panel, pose_frames
from motionrft.preferences.scoring import Kind

PANELS = {"integrity": 16, "temporal": 16, "frequency": 24}
"""Poses on a sheet: what is counted needs more of them."""
IN_A_ROW, PANEL = 8, (176, 200)
_FOOT = 22


def frame_sheet(joints: np.ndarray, fps: float, kind: Kind, beside: Sequence[np.ndarray] = ()) -> Image.Image:
    """Draw one motion.

    Args:
        joints: (T, 22, 3) metres, Y up.
        beside: the prompt's other candidates, which share the scale.
    """
    motion = check_joints(joints, "motion")
    look = THEMES["light"]
    scene = framing([motion, *beside], [each[:, 0] for each in (motion, *beside)])
    frames = pose_frames(len(motion), min(PANELS[kind], len(motion)))
    rows = -(-len(frames) // IN_A_ROW)
    width, height = PANEL
    sheet = Image.new("RGB", (IN_A_ROW * width, rows * (height + _FOOT)), look.background)
    pen, points = ImageDraw.Draw(sheet), figure_points(motion)
    for number, frame in enumerate(frames):
        x, y = number % IN_A_ROW * width, number // IN_A_ROW * (height + _FOOT)
        sheet.paste(draw_panel(motion, points, frame, scene, PANEL, look), (x, y))
        text = f"{frame}  ({frame / fps:.1f} s)"
        pen.text(
            (x + width / 2, y + height + _FOOT / 2),
            text,
            fill=look.faint,
            font=font_for(text, 13),
            anchor="mm",
        )
    return sheet
