"""The words of `--to` and `--format`, from the table of formats and the kinds of pictures. Free of torch."""

from motionrft.pictures.kinds import PICTURES
from motionrft.registry import FORMATS
from motionrft.representations.names import REPRESENTATIONS

ARRAYS = "arrays"
"""The format whose words are its suffixes: `npy` says what is written, `arrays` does not."""


def array_words() -> tuple[str, ...]:
    """Kinds of array files that are written."""
    return FORMATS.table[ARRAYS].writes


def file_words() -> tuple[str, ...]:
    """What a motion can be written as: our formats, those of installed packages by their names, and pictures."""
    ours = (word for entry in FORMATS.table.values() for word in entry.writes)
    theirs = (name for name in FORMATS.names() if name not in FORMATS.table)
    return tuple(dict.fromkeys([*ours, *theirs, *PICTURES]))


def target_words() -> tuple[str, ...]:
    """What motions can be converted to: a representation, as an array, or a file."""
    return (*REPRESENTATIONS, *(word for word in file_words() if word not in array_words()))
