"""Self-contained pages: everything a browser needs inlined, and a policy in the page that forbids it to fetch more."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from motionrft.pictures.body import BODIES, SIDES, check_joints, figure_points
from motionrft.pictures.camera import Framing
from motionrft.pictures.raster import THEMES

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

# The scripts of the 3D stages, in the order in which they need each other.
STAGE_SCRIPTS = ("theme.js", "motion.js", "paint.js", "stage.js", "player.js")


@cache
def asset(name: str) -> str:
    """The text of a file in `assets/`."""
    return (resources.files("motionrft.pictures") / "assets" / name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Put `parts` (HTML, already escaped) into the {{places}} of a template; in one pass, so parts may hold braces."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        filled += [parts[name], rest]
    return "".join(filled)


def page(
    title: str, body: str, data: Mapping[str, Any], styles: Sequence[str], scripts: Sequence[str]
) -> str:
    """A complete HTML document.

    Args:
        title: plain text of the browser's tab.
        body: HTML.
        data: what the scripts read from the element "data".
        styles, scripts: names in `assets/`, inlined in this order.
    """
    style = "\n".join(asset(name) for name in styles)
    code = "\n".join(f"<script>\n{asset(name)}</script>" for name in scripts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{embed(data)}</script>
{code}
</body>
</html>
"""


def embed(data: Mapping[str, Any]) -> str:
    """JSON that cannot end its script element, whatever text (a prompt, say) it holds."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def clip_data(joints: np.ndarray, fps: float, caption: str = "", **more: Any) -> dict[str, Any]:
    """A motion as the scripts read it: its figure points as int16 steps of under a millimetre, base64.

    Args:
        joints: (T, 22, 3) or (T, 21, 3), metres.
    """
    checked = check_joints(joints, caption or "motion")
    points = figure_points(checked)
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    offset = (low + high) / 2
    scale = max(float((high - low).max()) / 65_000, 1e-6)
    steps = np.round((points - offset) / scale).astype("<i2")
    return {
        "caption": caption, "frames": len(points), "points": points.shape[1], "body": str(checked.shape[1]), "fps": fps,
        "scale": scale, "offset": offset.tolist(), "data": base64.b64encode(steps.tobytes()).decode(), **more,
    }  # fmt: skip


def stage_data(scene: Framing) -> dict[str, Any]:
    """What the stages share: limbs of each skeleton, colours, and one framing."""
    return {"bodies": limbs_data(), "themes": themes_data(), "scene": scene_data(scene)}


def limbs_data() -> dict[str, list[list[Any]]]:
    return {
        str(joints): [
            [limb.start, limb.end, limb.start_radius, limb.end_radius, limb.side] for limb in body.limbs
        ]
        for joints, body in BODIES.items()
    }


def themes_data() -> dict[str, dict[str, tuple[int, int, int]]]:
    names = ("background", "ground", "grid", "path", "shadow", *SIDES)
    return {key: {name: getattr(theme, name) for name in names} for key, theme in THEMES.items()}


def scene_data(scene: Framing) -> dict[str, float]:
    return {
        "yaw": scene.yaw, "pitch": scene.pitch, "ground": scene.ground, "low": scene.low, "high": scene.high,
        "half_width": scene.half_width,
    }  # fmt: skip
