"""A write is whole or absent, at whatever moment it is cut short."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from motionrft.errors import RunError, UserError
from motionrft.training.atomic import (
    atomic_file,
    atomic_folder,
    clean_temporaries,
    recover_folder,
    temporary_path,
    write_text,
)
from tests.training.toys import in_child


def test_text_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "note", "one")
    write_text(tmp_path / "a" / "note", "zwei ü")
    assert (tmp_path / "a" / "note").read_text(encoding="utf-8") == "zwei ü"
    assert [child.name for child in (tmp_path / "a").iterdir()] == ["note"]


def test_mode_is_the_umasks(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_folder(tmp_path / "model") as folder:
            (folder / "tensors").write_bytes(b"x")
            (folder / "tensors").chmod(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "model" / "tensors").stat().st_mode) == 0o640


@pytest.mark.parametrize("failure", [ValueError("mine"), KeyboardInterrupt()])
def test_failure_inside_leaves_the_old_file_and_no_temporary(tmp_path: Path, failure: BaseException) -> None:
    write_text(tmp_path / "note", "old")
    with pytest.raises(type(failure)), atomic_file(tmp_path / "note") as temporary:
        temporary.write_text("half")
        raise failure
    assert (tmp_path / "note").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "note"]


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, RunError), (errno.EACCES, UserError)])
def test_system_errors_name_the_place_and_keep_the_old(tmp_path: Path, number: int, kind: type) -> None:
    with atomic_folder(tmp_path / "model") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(kind, match="model") as caught, atomic_folder(tmp_path / "model") as folder:
        (folder / "a").write_text("new")
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
    assert (tmp_path / "model" / "a").read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["model"]


def test_folder_is_recovered_between_the_two_renames(tmp_path: Path) -> None:
    (tmp_path / "model.replaced-by-motionrft").mkdir()
    recover_folder(tmp_path / "model")
    assert (tmp_path / "model").is_dir() and not (tmp_path / "model.replaced-by-motionrft").exists()


def test_a_folder_of_many_files_is_whole_or_absent_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("motionrft.training.atomic._ONE_BY_ONE", 2)
    with atomic_folder(tmp_path / "set") as folder:
        for name in "abc":
            (folder / name).write_text(name)
            (folder / name).chmod(0o600)
    assert {path.name: path.read_text() for path in (tmp_path / "set").iterdir()} == dict(
        zip("abc", "abc", strict=True)
    )
    assert stat.S_IMODE((tmp_path / "set" / "a").stat().st_mode) != 0o600
    with pytest.raises(ValueError, match="stop"), atomic_folder(tmp_path / "set") as folder:
        (folder / "d").write_text("half")
        raise ValueError("stop")
    assert {path.name for path in tmp_path.iterdir()} == {"set"} and not (tmp_path / "set" / "d").exists()


def test_what_a_user_calls_old_or_tmp_is_left_alone(tmp_path: Path) -> None:
    for name in ("model.old", "model.tmp", "other.12-34.tmp"):
        (tmp_path / name).mkdir()
    for _ in range(2):
        with atomic_folder(tmp_path / "model") as folder:
            (folder / "a").write_text("new")
        recover_folder(tmp_path / "model")
        clean_temporaries(tmp_path, locked=True)
    assert {child.name for child in tmp_path.iterdir()} == {
        "model",
        "model.old",
        "model.tmp",
        "other.12-34.tmp",
    }


def test_only_what_dead_writers_left_is_cleaned(tmp_path: Path) -> None:
    mine = temporary_path(tmp_path / "a")
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-4999999-"))
    for path in (mine, dead):
        path.write_text("half")
    clean_temporaries(tmp_path, of="b")
    assert dead.exists()
    clean_temporaries(tmp_path, of="a")
    assert mine.exists() and not dead.exists()
    clean_temporaries(tmp_path, locked=True)
    assert not mine.exists()


def test_killed_before_any_file_operation_leaves_old_or_new(tmp_path: Path) -> None:
    """The process dies before its first, second, third, … change of the file system: all of them are tried."""
    target = tmp_path / "model"

    def write(text: str) -> None:
        with atomic_folder(target) as folder:
            (folder / "a").write_text(text)
            (folder / "b").write_text(text)

    write("0")
    deaths = 0
    for operation in range(1, 100):
        finished = in_child(lambda n=operation: _dying_at(n, lambda: write(str(n)))) == 0
        recover_folder(target)
        assert (target / "a").read_text() == (target / "b").read_text()
        clean_temporaries(tmp_path)
        if finished:
            break
        deaths += 1
    assert finished and deaths > 8
    assert (target / "a").read_text() == str(operation)
    assert [child.name for child in tmp_path.iterdir()] == ["model"]


def _dying_at(operation: int, work) -> int:
    """Run `work`, but end the process, as SIGKILL would, right before its n-th change of the file system."""
    seen = 0

    def audit(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"):
            seen += 1
            if seen == operation:
                os._exit(9)

    sys.addaudithook(audit)
    work()
    return 0
