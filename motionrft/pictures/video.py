"""Moving pictures: gif with Pillow, mp4 with ffmpeg. Several motions play side by side, in step."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from motionrft.errors import RunError, UserError
from motionrft.pictures.body import body_of, figure_points
from motionrft.pictures.camera import Framing, framing
from motionrft.pictures.lettering import wrap, write_lines
from motionrft.pictures.raster import THEMES, Theme, draw_figure, draw_ground, draw_path
from motionrft.pictures.strip import check_motions

OVERSAMPLING = 2
FLOOR_METRES = 1.5
CAPTION_SIZE = 16

NO_FFMPEG = (
    "mp4: no ffmpeg was found. Install one (`pip install imageio-ffmpeg`, or the system's ffmpeg), "
    "or write gif, png or html, which need nothing more."
)


def frames(
    motions: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    *,
    theme: str = "light",
    size: tuple[int, int] = (300, 360),
) -> Iterator[Image.Image]:
    """Yield one RGB image a frame; each motion (T, J, 3) has a panel of `size` pixels, and short ones wait at their end.

    The camera follows the person smoothly, so that steps stay visible as movement over the floor.
    """
    checked = check_motions(motions, captions)
    tracks = [follow(motion[:, 0]) for motion in checked]  # (T, 3) each
    scene, look = framing(checked, tracks), THEMES[theme]
    points = [figure_points(motion) for motion in checked]
    lines = [wrap(caption, CAPTION_SIZE, size[0] - 24) for caption in captions]
    head = 18 + round(CAPTION_SIZE * 1.3 * max((len(block) for block in lines), default=0)) if lines else 0
    shape = (size[0] * len(checked), (size[1] + head + 1) // 2 * 2)  # h264 wants even sides
    for frame in range(max(len(motion) for motion in checked)):
        image = Image.new("RGB", shape, look.background)
        for column, motion in enumerate(checked):
            now = min(frame, len(motion) - 1)
            panel = _panel(motion, points[column], tracks[column], now, scene, size, look)
            image.paste(panel, (column * size[0], head))
            if lines:
                write_lines(
                    ImageDraw.Draw(image), (column * size[0] + 12, 12), lines[column], CAPTION_SIZE, look.text
                )
        _progress(image, frame, max(len(motion) for motion in checked), look)
        yield image


def follow(roots: np.ndarray, width: int = 12) -> np.ndarray:
    """Camera track (T, 3): the root's way on the floor, smoothed by a Gaussian of `width` frames, ends held."""
    reach = np.arange(-3 * width, 3 * width + 1)
    weights = np.exp(-0.5 * (reach / width) ** 2)
    padded = np.pad(roots, ((3 * width, 3 * width), (0, 0)), mode="edge")
    track = np.stack(
        [np.convolve(padded[:, axis], weights / weights.sum(), "valid") for axis in range(3)], axis=-1
    )
    return track * [1.0, 0.0, 1.0]


def write_gif(
    path: Path,
    motions: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    fps: float = 20.0,
    theme: str = "light",
) -> None:
    """Write motions (T, J, 3) as an endless gif. It counts hundredths of a second: 12.5 fps is exact, 30 fps is 33.3."""
    pictures = list(frames(motions, captions, theme=theme))
    palette = _palette(pictures)
    indexed = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    indexed[0].save(
        path, format="GIF", save_all=True, append_images=indexed[1:], loop=0, optimize=False,
        duration=[round(1000 / fps / 10) * 10] * (len(indexed) - 1) + [800], disposal=1,
    )  # fmt: skip


def write_mp4(
    path: Path,
    motions: Sequence[np.ndarray],
    captions: Sequence[str] = (),
    fps: float = 20.0,
    theme: str = "light",
) -> None:
    """Write motions (T, J, 3) as an h264 mp4 (plays in every browser).

    Raises:
        UserError: no ffmpeg is installed.
        RunError: ffmpeg failed; its last line is in the message.
    """
    program = ffmpeg()
    pictures = frames(motions, captions, theme=theme, size=(480, 560))
    first = next(pictures)
    command = [
        program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{first.width}x{first.height}",
        "-r", f"{fps:g}", "-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart",
        "-f", "mp4", str(path),
    ]  # fmt: skip
    # Errors go to a file: a pipe that nobody reads while frames are written could fill up and stop both sides.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors)
        broken = _feed(process, first, pictures)
        if process.wait() or broken:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise RunError(f"{path}: ffmpeg ({program}) failed and said: {said[-1]}")


def ffmpeg() -> str:
    """The ffmpeg program: the system's, or the one that imageio-ffmpeg brings along."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError as missing:
        raise UserError(NO_FFMPEG) from missing
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as missing:
        raise UserError(NO_FFMPEG) from missing


def _feed(process: subprocess.Popen[bytes], first: Image.Image, rest: Iterator[Image.Image]) -> bool:
    """Send every frame; True when ffmpeg closed its input early (its own words say why)."""
    assert process.stdin is not None
    try:
        process.stdin.write(first.tobytes())
        for picture in rest:
            process.stdin.write(picture.tobytes())
        process.stdin.close()
    except BrokenPipeError:
        return True
    return False


def _panel(
    motion: np.ndarray, points: np.ndarray, track: np.ndarray, frame: int, scene: Framing, size: tuple[int, int],
    look: Theme,
) -> Image.Image:  # fmt: skip
    centre = track[frame] + [0.0, scene.ground, 0.0]  # (3,)
    floor = Image.new("RGB", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING), look.background)
    large = scene.camera(floor.width, floor.height, centre)
    draw_ground(floor, large, centre, FLOOR_METRES, look, scene.ground)
    draw_path(floor, large, motion[:, 0], frame, look, scene.ground, FLOOR_METRES * 0.9)
    # The figure softens its own edges: drawing it at the final size costs a quarter.
    image = floor.resize(size, Image.Resampling.BOX)
    draw_figure(image, scene.camera(*size, centre), points[frame], body_of(motion), look, scene.ground)
    return image


def _progress(image: Image.Image, frame: int, total: int, look: Theme) -> None:
    """A thin line along the bottom edge: how far the motion has come."""
    width = image.width * (frame + 1) / total
    ImageDraw.Draw(image).rectangle([0, image.height - 3, width, image.height], fill=look.path)


def _palette(pictures: list[Image.Image]) -> Image.Image:
    """One palette for the whole gif (a palette a frame makes it flicker), from frames spread over the motion."""
    picked = pictures[:: max(len(pictures) // 8, 1)]
    wall = Image.new("RGB", (picked[0].width, picked[0].height * len(picked)))
    for row, picture in enumerate(picked):
        wall.paste(picture, (0, row * picture.height))
    return wall.quantize(255, method=Image.Quantize.MEDIANCUT)
