"""Motion files: recognising, reading, checking and writing them."""

from typing import TYPE_CHECKING

from motionrft.lazy import lazy_names

if TYPE_CHECKING:
    from motionrft.files.motions import FileFault, Motion, iterate_motions, motion_files, read_motions
    from motionrft.files.writing import write_motion

__all__ = [
    "FileFault",
    "Motion",
    "iterate_motions",
    "motion_files",
    "read_motions",
    "write_motion",
]

_HOMES = {
    "FileFault": "motionrft.files.formats.base",
    "Motion": "motionrft.files.recording",
    "iterate_motions": "motionrft.files.motions",
    "motion_files": "motionrft.files.motions",
    "read_motions": "motionrft.files.motions",
    "write_motion": "motionrft.files.writing",
}
__getattr__ = lazy_names(__name__, _HOMES)
