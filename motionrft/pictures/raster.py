"""Draws one figure on its floor into an RGB array: capsules with light, depth and a shadow.

Each capsule is shaded as a round body: a pixel's distance from the limb's axis gives the surface normal, the normal
gives the light, and a depth buffer decides which limb is in front. Lines on the floor are Pillow's and hard-edged:
callers draw large and shrink.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from motionrft.pictures.body import SIDES, Body, Limb
from motionrft.pictures.camera import Camera

Colour = tuple[int, int, int]

# Towards the light, in view axes (right, up, to the eye).
LIGHT = np.array([-0.42, 0.62, 0.66])
GRID_METRES = 0.5


@dataclass(frozen=True)
class Theme:
    """Colours of a picture; left and right differ in hue and in lightness, so they survive colour blindness."""

    background: Colour
    ground: Colour
    grid: Colour
    path: Colour
    shadow: Colour
    text: Colour
    faint: Colour
    left: Colour
    right: Colour
    middle: Colour

    @property
    def limbs(self) -> np.ndarray:
        """(3, 3) float32 colours in the order of `SIDES`."""
        return np.array([self.left, self.right, self.middle], dtype=np.float32)


LIGHT_THEME = Theme(
    background=(252, 251, 248), ground=(238, 236, 230), grid=(214, 211, 203), path=(90, 148, 110),
    shadow=(120, 116, 108), text=(38, 40, 46), faint=(118, 120, 128),
    left=(236, 124, 48), right=(44, 110, 190), middle=(150, 154, 164),
)  # fmt: skip
DARK_THEME = Theme(
    background=(22, 24, 29), ground=(35, 38, 45), grid=(58, 62, 72), path=(104, 190, 140),
    shadow=(10, 11, 14), text=(232, 233, 237), faint=(150, 154, 164),
    left=(247, 148, 78), right=(82, 150, 232), middle=(176, 180, 190),
)  # fmt: skip
THEMES = {"light": LIGHT_THEME, "dark": DARK_THEME}


def draw_figure(
    image: Image.Image, camera: Camera, points: np.ndarray, body: Body, theme: Theme, ground: float
) -> None:
    """Draw one pose, points (J + 4, 3) metres, with its shadow into `image` (RGB, in place)."""
    _shadow(image, camera, points, body, theme, ground)
    canvas = _Canvas.of(image, camera, points, theme)
    # Far to near: a limb's soft edge then blends with what is really behind it.
    for limb in sorted(body.limbs, key=lambda limb: canvas.depth[limb.start] + canvas.depth[limb.end]):
        _capsule(canvas, limb, theme.limbs[SIDES.index(limb.side)])
    image.paste(Image.fromarray(canvas.pixels.clip(0, 255).astype(np.uint8)))


@dataclass(frozen=True)
class _Canvas:
    """What the limbs of one pose are painted into, and where its points lie on it.

    pixels (H, W, 3) and nearest (H, W; depth of what is painted, metres towards the eye) change as limbs are painted;
    spots (P, 2) pixels, depth (P,), scale (P,) pixels a metre.
    """

    pixels: np.ndarray
    nearest: np.ndarray
    spots: np.ndarray
    depth: np.ndarray
    scale: np.ndarray
    background: np.ndarray

    @classmethod
    def of(cls, image: Image.Image, camera: Camera, points: np.ndarray, theme: Theme) -> _Canvas:
        pixels = np.asarray(image).astype(np.float32)  # (h, w, 3)
        nearest = np.full(pixels.shape[:2], -np.inf, dtype=np.float32)  # (h, w)
        return cls(pixels, nearest, *camera.project(points), np.array(theme.background, dtype=np.float32))

    def haze(self, surface: np.ndarray) -> np.ndarray:
        """How much of the background shines through at depths (N,): nothing at the nearest point."""
        near, far = float(self.depth.max()), float(self.depth.min())
        return 0.30 * ((near - surface) / max(near - far, 0.3)).clip(0.0, 1.0)


def _capsule(canvas: _Canvas, limb: Limb, colour: np.ndarray) -> None:
    """Paint one limb where it is nearer than what is there; its edge is one pixel soft."""
    a, b = limb.start, limb.end
    start, along = canvas.spots[a], canvas.spots[b] - canvas.spots[a]  # (2,) each, pixels
    radius_a, radius_b = limb.start_radius * canvas.scale[a], limb.end_radius * canvas.scale[b]
    box = _box(start, canvas.spots[b], max(radius_a, radius_b), canvas.nearest.shape)
    if box is None:
        return
    rows, columns = box
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + (0.5 - start[0])  # (1, w)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + (0.5 - start[1])  # (h, 1)
    t = ((x * along[0] + y * along[1]) / max(float(along @ along), 1e-9)).clip(0.0, 1.0)  # (h, w)
    radius = radius_a + t * (radius_b - radius_a)
    off_x, off_y = x - t * along[0], y - t * along[1]
    distance = np.hypot(off_x, off_y)
    inside = distance < radius + 0.5  # (h, w)
    t, radius, distance = t[inside], radius[inside], distance[inside]
    towards = np.sqrt(np.maximum(1.0 - (distance / radius) ** 2, 0.0))
    thickness = limb.start_radius + t * (limb.end_radius - limb.start_radius)
    surface = canvas.depth[a] + t * (canvas.depth[b] - canvas.depth[a]) + towards * thickness
    light = ((off_x[inside] * LIGHT[0] - off_y[inside] * LIGHT[1]) / radius + towards * LIGHT[2]).clip(
        0.0, 1.0
    )
    shade = 0.50 + 0.58 * light - 0.16 * (1.0 - towards) ** 3
    lit = colour * shade[:, None] + (70.0 * light**14)[:, None]
    lit += canvas.haze(surface)[:, None] * (canvas.background - lit)
    cover = (radius + 0.5 - distance).clip(0.0, 1.0)
    _merge(canvas, rows, columns, inside, lit, surface, cover)


def _merge(
    canvas: _Canvas,
    rows: slice,
    columns: slice,
    inside: np.ndarray,
    lit: np.ndarray,
    surface: np.ndarray,
    cover: np.ndarray,
) -> None:
    """Blend a limb's pixels (N of them, marked in the box by `inside`) into the canvas where they are in front."""
    nearest = canvas.nearest[rows, columns]  # (h, w)
    front = surface > nearest[inside]  # (N,)
    amount = (cover * front)[:, None]  # (N, 1)
    patch = canvas.pixels[rows, columns]  # (h, w, 3)
    patch[inside] += amount * (lit - patch[inside])
    nearest[inside] = np.where(front & (cover > 0.5), surface, nearest[inside])


def _box(a: np.ndarray, b: np.ndarray, radius: float, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Rows and columns that a capsule can touch, or None when it is out of the picture."""
    low = np.floor(np.minimum(a, b) - radius - 1).astype(int)
    high = np.ceil(np.maximum(a, b) + radius + 1).astype(int)
    x0, y0, x1, y1 = max(low[0], 0), max(low[1], 0), min(high[0], shape[1]), min(high[1], shape[0])
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def _shadow(
    image: Image.Image, camera: Camera, points: np.ndarray, body: Body, theme: Theme, ground: float
) -> None:
    """A soft shadow straight below the body: it shows whether the feet touch the floor."""
    flat = points.copy()  # (P, 3), metres
    flat[:, 1] = ground
    spots, _, scale = camera.project(flat)  # (P, 2) and (P,), pixels
    mask = Image.new("L", image.size, 0)
    pen = ImageDraw.Draw(mask)
    for limb in body.limbs:
        a, b = spots[limb.start], spots[limb.end]
        width = (limb.start_radius * scale[limb.start] + limb.end_radius * scale[limb.end]) * 0.9
        pen.line([tuple(a), tuple(b)], fill=110, width=max(int(width), 1))
    mask = mask.filter(ImageFilter.GaussianBlur(0.035 * camera.scale))
    image.paste(Image.new("RGB", image.size, theme.shadow), mask=mask)


def draw_ground(
    image: Image.Image, camera: Camera, centre: np.ndarray, radius: float, theme: Theme, ground: float
) -> None:
    """A round floor of `radius` metres around `centre` (3,), with a grid that fades towards the rim."""
    pen = ImageDraw.Draw(image)
    turn = np.linspace(0, 2 * np.pi, 73)
    rim = np.stack(
        [centre[0] + radius * np.cos(turn), np.full(73, ground), centre[2] + radius * np.sin(turn)], -1
    )
    pen.polygon([tuple(spot) for spot in camera.project(rim)[0]], fill=theme.ground)
    width = max(round(0.006 * camera.scale), 1)
    for axis in (0, 2):
        first = np.ceil((centre[axis] - radius) / GRID_METRES)
        last = np.floor((centre[axis] + radius) / GRID_METRES)
        for line in np.arange(first, last + 1) * GRID_METRES:
            _grid_line(pen, camera, centre, radius, theme, ground, axis, float(line), width)


def _grid_line(
    pen: ImageDraw.ImageDraw, camera: Camera, centre: np.ndarray, radius: float, theme: Theme, ground: float,
    axis: int, at: float, width: int,
) -> None:  # fmt: skip
    other = 2 - axis
    half = np.sqrt(max(radius**2 - (at - centre[axis]) ** 2, 0.0))
    steps = np.linspace(centre[other] - half, centre[other] + half, 13)
    points = np.full((13, 3), ground)
    points[:, axis], points[:, other] = at, steps
    spots = camera.project(points)[0]
    away = np.hypot(at - centre[axis], (steps[1:] + steps[:-1]) / 2 - centre[other]) / radius
    for i, fade in enumerate((1.0 - away**2).clip(0.0, 1.0)):
        pen.line(
            [tuple(spots[i]), tuple(spots[i + 1])],
            fill=blend(theme.ground, theme.grid, float(fade)),
            width=width,
        )


def draw_path(
    image: Image.Image, camera: Camera, roots: np.ndarray, now: int, theme: Theme, ground: float, reach: float
) -> None:
    """The root's way (T, 3) on the floor: what lies behind frame `now` in full colour, what is to come pale.

    Only what lies within `reach` metres of the current root is drawn, so that the line ends with the floor.
    """
    pen = ImageDraw.Draw(image)
    on_floor = roots.copy()
    on_floor[:, 1] = ground
    spots = camera.project(on_floor)[0]
    away = np.hypot(*(roots - roots[now])[:, [0, 2]].T)
    width = max(round(0.018 * camera.scale), 1)
    for i in range(len(roots) - 1):
        if max(away[i], away[i + 1]) > reach:
            continue
        colour = theme.path if i < now else blend(theme.ground, theme.path, 0.35)
        pen.line([tuple(spots[i]), tuple(spots[i + 1])], fill=colour, width=width, joint="curve")


def blend(a: Colour, b: Colour, amount: float) -> Colour:
    """`amount` 0 is a, 1 is b."""
    return tuple(round(p + (q - p) * amount) for p, q in zip(a, b, strict=True))  # type: ignore[return-value]
