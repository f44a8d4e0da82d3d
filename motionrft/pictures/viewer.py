"""The 3D page: one HTML file with motions to turn, scrub and compare, that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from motionrft.pictures.camera import framing
from motionrft.pictures.page import STAGE_SCRIPTS, asset, clip_data, fill, page, stage_data
from motionrft.pictures.strip import check_motions
from motionrft.pictures.video import follow


def viewer_html(
    motions: Sequence[np.ndarray], captions: Sequence[str] = (), fps: float = 20.0, title: str = ""
) -> str:
    """The page's text; all motions share one clock and one point of view.

    Args:
        motions: each (T, 22, 3) or (T, 21, 3), metres, Y up.
        captions: one a motion, or none.
        fps: of every motion.
        title: of the page; by default the only caption, or how many motions there are.
    """
    checked = check_motions(motions, captions)
    captions = captions or [""] * len(checked)
    if not title:
        title = "Motion" if len(checked) == 1 else f"{len(checked)} motions"
    scene = framing(checked, [follow(motion[:, 0]) for motion in checked])
    clips = [clip_data(motion, fps, caption) for motion, caption in zip(checked, captions, strict=True)]
    body = fill(asset("viewer.html"), title=escape(title), player=asset("player.html"))
    return page(
        title,
        body,
        {**stage_data(scene), "clips": clips},
        ("base.css", "viewer.css"),
        (*STAGE_SCRIPTS, "viewer.js"),
    )
