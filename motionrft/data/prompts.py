"""Prompt files: one prompt a line, UTF-8."""

from pathlib import Path

from motionrft.errors import UserError
from motionrft.parsing import filled_lines


def read_prompts(path: Path) -> list[str]:
    """The prompts of a text file in order, blank lines left out; a byte-order mark and CRLF are invisible.

    Raises:
        UserError: the file is missing, not UTF-8, holds a NUL, or has no prompt.
    """
    prompts = [line for _, line in filled_lines(path)]
    if not prompts:
        raise UserError(f"{path}: no prompt there. Write one prompt a line.")
    return prompts
