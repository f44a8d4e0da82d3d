"""Caption and prompt files as people have them."""

import pytest

from motionrft.data import read_captions, read_prompts
from motionrft.data.captions import caption_fault
from motionrft.errors import UserError


def test_humanml3d_lines_give_text_tokens_and_seconds(tmp_path):
    path = tmp_path / "000001.txt"
    path.write_text("a man walks#a/DET man/NOUN walk/VERB#0.0#0.0\nhe turns#he/PRON turn/VERB#1.5#3.0\n")
    first, second = read_captions(path)
    assert (first.text, first.tokens[2], first.whole) == ("a man walks", "walk/VERB", True)
    assert (second.start, second.end, second.whole) == (1.5, 3.0, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a man walks##0.0#0.0\nhe turns##1.5#9.0\n", None),
        ("he turns##2.0#2.0\n", "captions of no part of their clip"),
        ("a man walks##0.0#0.0\nhe turns##4.5#9.0\n", "captions of no part of their clip"),
        ("", "no captions"),
        ("##0.0#0.0\n", "unreadable captions: a.txt: line 1: nothing stands before"),
        ("a # b#a/DET#0.0#0.0\n", "unreadable captions: a.txt: line 1: 'a # b"),
    ],
)
def test_a_check_tells_what_a_run_would_stumble_over(text, said):
    lines = list(enumerate(text.splitlines(), 1))
    found = caption_fault(lines, "a.txt", 4.0)
    assert found is None if said is None else found.startswith(said)


def test_nan_times_mean_the_whole_clip(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a man walks##nan#nan\n")
    assert read_captions(path)[0].whole


@pytest.mark.parametrize("broken", ["broken#one", "##0.0#0.0", " #a/DET#0.0#0.0"])
def test_a_broken_line_is_named(tmp_path, broken):
    path = tmp_path / "a.txt"
    path.write_text(f"fine\n{broken}\n")
    with pytest.raises(UserError, match=r"a\.txt: line 2"):
        read_captions(path)


def test_byte_order_mark_crlf_and_blank_lines_are_invisible(tmp_path):
    path = tmp_path / "p.txt"
    path.write_bytes(b"\xef\xbb\xbfa person walks\r\n\r\n  \xf0\x9f\x95\xba dances \r\n")
    assert read_prompts(path) == ["a person walks", "\N{MAN DANCING} dances"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no prompt"),
        (b"\n \n", "no prompt"),
        (b"caf\xe9", "line 1: byte 0xE9 is not UTF-8"),
        (b"a\nb\0c", "line 2: a NUL"),
    ],
)
def test_files_that_are_no_prompt_lists_are_refused(tmp_path, content, said):
    path = tmp_path / "p.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_prompts(path)


def test_a_missing_prompt_file_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
