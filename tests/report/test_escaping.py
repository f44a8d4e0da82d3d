"""Names that somebody else chose are shown and never obeyed: in LaTeX, Markdown and on a terminal."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionrft.report.escaping import latex_text, markdown_text, one_line
from motionrft_cli.terminal import visible


@given(st.text())
def test_nothing_leaves_its_line(text: str) -> None:
    for shown in (one_line(text), latex_text(text), markdown_text(text)):
        assert shown.splitlines() in ([], [shown])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\input{/etc/passwd}", "\\textbackslash{}input\\{/etc/passwd\\}"),
        (
            "x\n\\immediate\\write18{touch x}",
            "x \\textbackslash{}immediate\\textbackslash{}write18\\{touch x\\}",
        ),
        ("a~b^c_d%e&f#g$h", "a\\textasciitilde{}b\\textasciicircum{}c\\_d\\%e\\&f\\#g\\$h"),
        ("R@1 ↑", "R@1 $\\uparrow$"),
    ],
)
def test_latex_prints_letter_by_letter(text: str, shown: str) -> None:
    assert latex_text(text) == shown


@given(st.text(alphabet=string.printable))
def test_no_cell_of_markdown_ends_early_or_holds_html(text: str) -> None:
    shown = markdown_text(text)
    assert "<" not in shown
    assert "|" not in shown.replace("\\\\", "").replace("\\|", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J.npy", "a\\x1b[2J.npy"),
        ("a\x9b2J", "a\\x9b2J"),
        ("a\udc9b2J", "a\\x9b2J"),
        ("bell\x07 return\r", "bell\\x07 return\\x0d"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("Läufer 走る \udcff\nsecond line\t.", "Läufer 走る \udcff\nsecond line\t."),
    ],
)
def test_a_terminal_gets_no_commands(text: str, shown: str) -> None:
    assert visible(text) == shown
