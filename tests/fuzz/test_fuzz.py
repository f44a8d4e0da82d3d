"""Whatever is done to a file, its reader gives what it holds or says in one line what is wrong with it.

A few seeded cases of every reader; `python -m tests.fuzz` runs as many as one likes. That the cases would notice a hole
in the boundary is tested as well, by making one.
"""

import errno
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from motionrft import parsing
from motionrft.errors import UserError
from tests.fuzz.engine import SLOWEST, good_files, try_case
from tests.fuzz.mutations import damaged
from tests.fuzz.readers import READERS

QUICK = ("captions", "splits", "cuts", "prompts", "joint map", "preset", "results", "ratings", "pairs")
"""Readers of which a case takes about a millisecond."""


@pytest.mark.parametrize("name", READERS)
def test_every_damage_is_read_or_refused(name: str) -> None:
    with good_files(name) as good:
        READERS[name].read(good)
        for seed in range(60 if name in QUICK else 10):
            outcome = try_case(name, good, 10_000 + seed)
            assert outcome.kind != "unhandled", f"{name}, seed {10_000 + seed}: {outcome.said}"
            assert outcome.seconds < SLOWEST


@contextmanager
def _hole(*_: object) -> Iterator[parsing.Place]:
    """The boundary as it would be if it caught nothing."""
    yield parsing.Place("")


@pytest.mark.parametrize("name", ["npz", "captions", "mdm, shapes"])
def test_a_hole_in_the_boundary_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parsing.parsing
    for module in list(sys.modules.values()):
        if getattr(module, "parsing", None) is whole:
            monkeypatch.setattr(module, "parsing", _hole)
    with good_files(name) as good:
        assert any(try_case(name, good, seed).kind == "unhandled" for seed in range(100))


def test_damage_is_the_same_for_the_same_seed() -> None:
    data = b'{"a": 1, "b": [2, 3]}\n' * 20
    assert damaged(data, random.Random(3)) == damaged(data, random.Random(3))
    assert len({damaged(data, random.Random(seed)) for seed in range(200)}) > 150


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnicodeDecodeError("utf-8", b"a\nb\xe9", 3, 4, ""), "line 2: byte 0xE9 is not UTF-8"),
        (UnicodeDecodeError("utf-8", b"\xff\xfea\x00", 0, 1, ""), "UTF-16"),
        (RecursionError("deep"), "nested too deeply"),
        (MemoryError(), "needs more memory"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be read (Permission denied)"),
        (IndexError("list index\nout of range"), "not a thing (IndexError: list index out of range)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_becomes_one_line_with_the_file(error: Exception, said: str) -> None:
    with pytest.raises(UserError, match=r"^a\.txt: ") as caught, parsing.parsing(Path("a.txt"), "a thing"):
        raise error
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_encoding_with_its_mark_is_read(encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    (tmp_path / "a.txt").write_bytes((mark + "läuft\r\n").encode(encoding))
    assert list(parsing.filled_lines(tmp_path / "a.txt")) == [(1, "läuft")]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), ImportError("no such package")])
def test_what_is_not_the_files_fault_passes(error: Exception) -> None:
    with pytest.raises(type(error)), parsing.parsing("a.txt"):
        raise error
