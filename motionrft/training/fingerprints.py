"""Hashes that say whether a file or a folder is still the one it was."""

import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 1 << 20
WHOLE = 512 << 20
"""Bytes of files that are hashed whole; of more, `contents_hash` samples each."""
MANY = 200_000
"""Files of which every one is sampled; of more, every one's size counts and `_LOOKED_INTO` of them are sampled."""
_LOOKED_INTO = 20_000
_SAMPLE = 4096


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sampled_hash(path: Path) -> str:
    """SHA-256 of a file's size and of its first, middle and last blocks."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}\n".encode())
    with path.open("rb") as file:
        for start in (0, size // 2, max(0, size - _SAMPLE)):
            file.seek(start)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def contents_hash(files: Iterable[Path]) -> tuple[str, bool]:
    """A hash over the contents of files, in order, and whether it saw samples of them alone (more than `WHOLE` bytes).

    Args:
        files: gone through twice.
    """
    sizes = [path.stat().st_size for path in files]
    if sum(sizes) <= WHOLE:
        return _hash_of(file_hash(path) for path in files), False
    every = 1 if len(sizes) <= MANY else -(-len(sizes) // _LOOKED_INTO)
    looks = (
        sampled_hash(path) if number % every == 0 else str(size)
        for number, (path, size) in enumerate(zip(files, sizes, strict=True))
    )
    return _hash_of(looks), True


def text_hash(*parts: str) -> str:
    """SHA-256 of some strings; no two different lists share one by running together."""
    return _hash_of(parts)


def _hash_of(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogateescape")  # a file's name need not be text
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def folder_hash(folder: Path | str) -> str:
    """SHA-256 over the names and bytes of every file below a folder, hidden ones left out."""
    folder = Path(folder)
    parts: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            parts += [name.as_posix(), file_hash(path)]
    return text_hash(*parts)


def path_hash(path: Path | str) -> str:
    """`file_hash` or `folder_hash`, whichever the path asks for."""
    return folder_hash(path) if Path(path).is_dir() else file_hash(path)


def code_hash(thing: object) -> str:
    """A hash of the file in which a function, a class or an instance's class is written; of nothing where none is."""
    written = thing if inspect.isclass(thing) or inspect.isroutine(thing) else type(thing)
    try:
        file = inspect.getsourcefile(written)
    except TypeError:
        file = None
    return file_hash(Path(file)) if file and Path(file).is_file() else text_hash()
