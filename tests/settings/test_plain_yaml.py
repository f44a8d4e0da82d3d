"""YAML is read as it looks, or refused."""

import time

import pytest

from motionrft.errors import UserError
from motionrft.settings.plain_yaml import MAX_BYTES, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2.5E+3", -2500.0),
        (".5", 0.5),
        ("010", 10),
        ("-7", -7),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("4:30", "4:30"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("[1, 2.0, x]", [1, 2.0, "x"]),
        ("{a: {b: 1e2}}", {"a": {"b": 100.0}}),
        ("'1e-4'", "1e-4"),
    ],
)
def test_plain_scalars_are_what_they_look_like(text: str, value: object) -> None:
    read = read_yaml(text, "x")
    assert read == value and type(read) is type(value)


def test_a_key_given_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(UserError, match=r"f\.yaml: line 3: 'a' is given twice \(first in line 1\)"):
        read_yaml("a: 1\nb: 2\na: 3\n", "f.yaml")


def test_a_repeated_key_is_found_below_the_top() -> None:
    with pytest.raises(UserError, match="line 3: 'lr' is given twice"):
        read_yaml("optimiser:\n  lr: 1\n  lr: 2\n", "f.yaml")


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!thing 1"]
)
def test_tags_that_make_objects_are_refused(tag: str) -> None:
    with pytest.raises(UserError, match="no Python objects"):
        read_yaml(f"a: {tag}", "f.yaml")


def test_an_alias_bomb_is_refused_at_once() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    began = time.monotonic()
    with pytest.raises(UserError, match="aliases"):
        read_yaml("\n".join(levels), "bomb.yaml")
    assert time.monotonic() - began < 1


def test_an_alias_inside_itself_is_refused() -> None:
    with pytest.raises(UserError, match="contains itself"):
        read_yaml("a: &a [*a]", "f.yaml")


def test_a_harmless_alias_is_read() -> None:
    assert read_yaml("a: &a {b: 1}\nc: *a", "f.yaml") == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_huge_file_is_refused_by_its_size() -> None:
    with pytest.raises(UserError, match="MB"):
        read_yaml("a: " + "x" * MAX_BYTES, "f.yaml")


def test_deep_nesting_is_refused_without_a_recursion_error() -> None:
    with pytest.raises(UserError, match="deeply"):
        read_yaml("[" * 5_000, "f.yaml")


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\ta: 1", "a: 1\n--- \nb: 2", b"a: \xff\x81"])
def test_what_is_not_yaml_is_named_by_source_and_never_raises_another_error(text: str | bytes) -> None:
    with pytest.raises(UserError, match=r"^f\.yaml: "):
        read_yaml(text, "f.yaml")
