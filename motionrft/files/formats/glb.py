"""GLB, binary glTF: an animated body for Blender, game engines and browsers. Written, not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.captions import first_caption
from motionrft.files.formats.base import FileFault, MotionFormat, OpenedFile, WritingOptions, Written
from motionrft.files.formats.bvh import joints_to_write
from motionrft.files.reading import ReadingOptions
from motionrft.files.recording import Motion, Recording


class GlbFormat(MotionFormat):
    """`.glb`."""

    name = "glb"
    suffixes = (".glb",)
    shared = True  # a folder's .glb files are scenes of any kind
    writes = True

    def recognises(self, file: OpenedFile) -> bool:
        return False

    def read(self, file: OpenedFile, options: ReadingOptions) -> Iterator[Recording | FileFault]:
        raise UserError(f"{file.path}: GLB files are written, not read. Export the motion as BVH.")

    def write(self, path: Path, motion: Motion, options: WritingOptions) -> Written:
        from motionrft.files.glb_writer import write_glb

        text = motion.text or first_caption(motion.source.with_suffix(".txt"))
        fitted = write_glb(path, joints_to_write(motion), motion.fps, path.stem, text)
        return Written(fitted.mean_mm, fitted.worst_mm)
