"""Fault 24: names are bytes, with spaces, newlines and whatever else people give them."""

import io
import os
from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft_cli.inputs import expand_inputs, listed_paths


def listed(text: bytes, *arguments: str, null: bool = False) -> list[str]:
    return list(listed_paths(arguments or ("-",), null, io.BufferedReader(io.BytesIO(text))))


def test_arguments_are_taken_as_they_are() -> None:
    assert listed(b"", "a b.npy", "./-", "--x") == ["a b.npy", "./-", "--x"]


def test_lines_replace_the_dash_in_its_place() -> None:
    assert listed(b"a b\r\n\nc", "first", "-", "last") == ["first", "a b", "c", "last"]


def test_nul_separates_names_that_hold_newlines() -> None:
    assert listed(b"a\nb\0c\0", null=True) == ["a\nb", "c"]


def test_names_that_are_no_text_survive() -> None:
    assert [os.fsencode(name) for name in listed(b"\xff\xfe.npy\n")] == [b"\xff\xfe.npy"]


def test_the_first_name_comes_before_the_last_is_written() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source:
        os.write(write, b"a\nb")
        names = listed_paths(["-"], stdin=source)
        assert next(names) == "a"
        os.write(write, b"c\n")
        os.close(write)
        assert list(names) == ["bc"]


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UserError, match="once"):
        listed(b"a\n", "-", "-")


def test_patterns_that_the_shell_left_alone(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.npy", "a.npy", "deep/c.npy", "x[1].npy"):
        (tmp_path / name).touch()
    assert [path.name for path in expand_inputs([f"{tmp_path}/[ab].npy"])] == ["a.npy", "b.npy"]
    assert [path.name for path in expand_inputs([f"{tmp_path}/**/c.npy"])] == ["c.npy"]
    assert [path.name for path in expand_inputs([f"{tmp_path}/x[1].npy"])] == ["x[1].npy"], (
        "a name that exists"
    )
    with pytest.raises(UserError, match="nothing matches"):
        expand_inputs([f"{tmp_path}/*.bvh"])


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(UserError, match="empty"):
        expand_inputs(["-"], stdin=io.BufferedReader(io.BytesIO(b"\n")))
