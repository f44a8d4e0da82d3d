"""What a motion can be written as, by name. Free of torch: presets and help ask it.

A representation is written as an array (npy, npz, safetensors); other file formats and pictures have names of their own.
"""

from motionrft.registry import FORMATS, PICTURES
from motionrft.representations.names import REPRESENTATIONS

ARRAYS = "arrays"
"""The format of bare arrays, which is not asked for by name: a representation is."""
ARRAY_ENDINGS = ("npy", "npz", "safetensors")


def file_formats() -> tuple[str, ...]:
    """Formats with a name of their own: ours, and those that installed packages bring."""
    return tuple(name for name in FORMATS.names() if name != ARRAYS)


def targets() -> tuple[str, ...]:
    """What `convert --to` takes for motions."""
    return (*REPRESENTATIONS, *file_formats(), *PICTURES.names())


def sample_formats() -> tuple[str, ...]:
    """What `sample --format` takes."""
    return (*ARRAY_ENDINGS, *file_formats(), *PICTURES.names())
