"""Motion files: recognising, reading, checking and writing them."""

from motionrft.files.motions import FileFault, Motion, iterate_motions, motion_files, read_motions
from motionrft.files.writing import write_motion

__all__ = ["FileFault", "Motion", "iterate_motions", "motion_files", "read_motions", "write_motion"]
