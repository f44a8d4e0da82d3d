"""What a run wrote, one path a line, in a file of its folder: the list of what it may delete.

Every atomic write below the folder is noted before it appears under its name, so that a process killed at any instant
leaves nothing of its own that the list lacks.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from motionrft.errors import UserError
from motionrft.parsing import filled_lines

WRITTEN = ".written"
_open: list["Journal"] = []
"""The journals of the runs of this process; a run inside another run's folder is noted in both."""


class Journal:
    """The list of one run folder, kept while the run is open.

    Args:
        folder: the run's; a list that is there already is continued.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder.absolute(), folder.absolute() / WRITTEN
        self.known = set(map(Path, _entries(self.file)))

    def begin(self) -> None:
        _open.append(self)

    def end(self) -> None:
        if self in _open:
            _open.remove(self)

    def note(self, path: Path) -> None:
        """Add a file, if it lies in the folder and is not in the list."""
        name = Path(os.path.relpath(path.absolute(), self.folder))
        if name in self.known or name.parts[0] == "..":
            return
        with self.file.open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{name}\n")
        self.known.add(name)

    def delete_all(self) -> list[Path]:
        """Delete what the list names, and the folders that are empty then; what stays was written by nobody here.

        Returns:
            The entries of the folder that are left.
        """
        home = self.folder.resolve()
        inside = [self.folder / name for name in sorted(self.known)]
        # Through a link that somebody put in the place of a folder, nothing is deleted.
        inside = [path for path in inside if path.parent.resolve().is_relative_to(home)]
        for path in inside:
            if path.is_file() or path.is_symlink():
                path.unlink()
        for parent in sorted({parent for path in inside for parent in path.parents}, reverse=True):
            if home in parent.resolve().parents and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        self.known = set()
        self.file.unlink(
            missing_ok=True
        )  # last: killed half-way, it is a run still and can be overwritten again
        return sorted(self.folder.iterdir())


def note_written(path: Path, files: Sequence[Path] | None = None, base: Path | None = None) -> None:
    """Tell the open journals that `path` is about to appear, a file or a folder with `files` of the folder `base`."""
    for journal in _open:
        for file in [path] if files is None else [path / child.relative_to(base or path) for child in files]:
            journal.note(file)


def _entries(file: Path) -> list[str]:
    """The paths of a list; a line that leads out of the folder is nothing that a run wrote."""
    if not file.is_file():
        return []
    try:
        names = [name for _, name in filled_lines(file)]
    except UserError:  # damaged: then nothing is known to be ours, and nothing is deleted
        return []
    return [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
