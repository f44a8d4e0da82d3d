"""Writing a motion in any file format."""

from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.formats.base import WritingOptions
from motionrft.files.formats.table import write_as, written_formats
from motionrft.files.recording import Motion


def write_motion(path: Path | str, motion: Motion, unit: str = "centimetres") -> None:
    """Write a motion, whole or not at all, in the format of the file's suffix.

    Args:
        path: `.npy` (the array alone), `.npz` and `.safetensors` (with the frame rate), or `.bvh` (through joints).
        unit: of a BVH file.

    Raises:
        UserError: unknown suffix, or the place cannot be written.
    """
    path = Path(path)
    for form in sorted(written_formats(), key=lambda each: each.name != "arrays"):
        if path.suffix.lower() in form.suffixes:
            write_as(form, path, motion, WritingOptions(unit))
            return
    legal = dict.fromkeys(suffix for form in written_formats() for suffix in form.suffixes)
    raise UserError(f"{path}: motions are written as {', '.join(legal)}.")
