"""Motions inside a tar archive: unpacked into a temporary folder for as long as they are read."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from motionrft.errors import UserError
from motionrft.files.formats.table import suffixes
from motionrft.parsing import parsing
from motionrft.training.atomic import temporary_folder

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_HARMLESS = 64 << 20
_LARGEST_RATIO = 100
"""Bytes that an archive may expand to, for each of its own: BVH text shrinks to a tenth, a bomb to a thousandth."""


def is_archive(path: Path) -> bool:
    """Whether a path is called like a tar archive."""
    return path.name.lower().endswith(ENDINGS)


@contextmanager
def unpacked(inputs: Iterable[Path], beside: Path) -> Iterator[list[Path]]:
    """The inputs with every archive replaced by a folder of its motion files, which is gone afterwards.

    Args:
        beside: a path on the disk that has room; the temporary folder is made in its parent.

    Raises:
        UserError: an archive is damaged, or a member would land outside.
    """
    with ExitStack() as stack:
        places: list[Path] = []
        for path in inputs:
            if is_archive(path) and path.is_file():
                places.append(stack.enter_context(temporary_folder(beside, len(places))))
                _unpack(path, places[-1])
            else:
                places.append(path)
        yield places


def _unpack(path: Path, folder: Path) -> None:
    """Extract the motion files of an archive, one member after the other, and never more than it may hold."""
    with parsing(path, "a tar archive"), _opened(path) as packed:
        stream = _Limited(packed, max(_HARMLESS, _LARGEST_RATIO * path.stat().st_size), path)
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                stream.expect(member.size)
                if member.isreg() and Path(member.name).suffix.lower() in suffixes():
                    archive.extract(member, folder, filter="data")


def _opened(path: Path) -> IO[bytes]:
    """The archive without its compression, which its first bytes tell."""
    with path.open("rb") as file:
        head = file.read(6)
    opener = next((opener for magic, opener in _COMPRESSED.items() if head.startswith(magic)), None)
    return path.open("rb") if opener is None else opener(path)


class _Limited:
    """A stream that gives at most so many bytes: an archive that holds more is refused while it is read."""

    def __init__(self, stream: IO[bytes], limit: int, path: Path) -> None:
        self.stream, self.limit, self.path = stream, limit, path
        self.given = 0

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.given += len(data)
        self.expect(0)
        return data

    def expect(self, size: int) -> None:
        """Refuse a member of `size` bytes, before it is extracted, where it would lead beyond the limit."""
        if self.given + size > self.limit:
            raise UserError(
                f"{self.path}: {self.path.stat().st_size >> 10:,} KiB that would expand to more than "
                f"{self.limit >> 20:,} MiB: refused. If it is real, unpack it yourself and name the folder."
            )
