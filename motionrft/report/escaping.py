"""Names and notes that somebody else chose, as text inside LaTeX and Markdown: shown, never obeyed."""

import re

_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LATEX = str.maketrans(
    {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {"↑": "$\\uparrow$", "↓": "$\\downarrow$", "→": "$\\rightarrow$", "–": "--"}
    | {character: f"\\{character}" for character in "_%&#${}"}
)
_MARKDOWN = str.maketrans({"<": "&lt;"} | {character: f"\\{character}" for character in "\\|`*[]"})


def one_line(text: str) -> str:
    """The text without line breaks and control characters: it cannot leave its cell or its comment."""
    return _CONTROL.sub("", _BREAKS.sub(" ", text))


def latex_text(text: str) -> str:
    """The text as LaTeX prints it, letter by letter."""
    return one_line(text).translate(_LATEX)


def markdown_text(text: str) -> str:
    """The text as a cell of a Markdown table shows it, letter by letter."""
    return one_line(text).translate(_MARKDOWN)
