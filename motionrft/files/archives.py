"""Motions inside a tar archive: unpacked into a temporary folder for as long as they are read."""

import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from motionrft.errors import UserError
from motionrft.files.formats.table import suffixes

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")


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
        places = []
        for path in inputs:
            if is_archive(path) and path.is_file():
                beside.parent.mkdir(parents=True, exist_ok=True)
                folder = tempfile.TemporaryDirectory(prefix=f".{beside.name}-", dir=beside.parent)
                places.append(Path(stack.enter_context(folder)))
                _unpack(path, places[-1])
            else:
                places.append(path)
        yield places


def _unpack(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isreg() and Path(member.name).suffix.lower() in suffixes():
                    archive.extract(member, folder, filter="data")
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise UserError(f"{path}: damaged archive ({error}).") from error
