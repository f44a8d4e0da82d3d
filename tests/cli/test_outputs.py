"""--out is looked at before any compute, and looking creates nothing."""

import os
from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.training import atomic
from motionrft_cli import outputs
from motionrft_cli.outputs import check_output_folder, cleaned


def test_a_new_or_empty_folder_is_taken_and_not_made(tmp_path: Path) -> None:
    assert check_output_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert check_output_folder(tmp_path) == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_needs_resume_or_overwrite(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UserError, match="add --resume or --overwrite"):
        check_output_folder(tmp_path)
    check_output_folder(tmp_path, overwrite=True)
    check_output_folder(tmp_path, resume=True)


@pytest.mark.parametrize("below", ["file", "file/deeper/run"])
def test_a_file_in_the_way_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        check_output_folder(tmp_path / below)


def test_missing_flag_and_missing_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--out DIR is missing"):
        check_output_folder(None)
    with pytest.raises(UserError, match="no run"):
        check_output_folder(tmp_path / "a", resume=True)


def test_a_read_only_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs.os, "access", lambda path, mode: False)  # root may write everywhere else
    with pytest.raises(UserError, match=f"no permission to write in {tmp_path}"):
        check_output_folder(tmp_path / "a" / "b")


def test_what_a_killed_process_left_is_cleaned_and_nothing_else(tmp_path: Path) -> None:
    half = atomic.temporary_path(tmp_path / "table.tex")
    dead = half.with_name(half.name.replace(f"-{os.getpid()}-", "-4999999-"))
    for path in (half, dead, tmp_path / "mine.tmp"):
        path.write_text("half")
    assert cleaned(tmp_path) == tmp_path and cleaned(tmp_path / "none") == tmp_path / "none"
    assert {path.name for path in tmp_path.iterdir()} == {half.name, "mine.tmp"}
