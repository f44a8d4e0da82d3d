"""Prompt files: one prompt a line, UTF-8."""

from pathlib import Path

from motionrft.errors import UserError


def read_prompts(path: Path) -> list[str]:
    """The prompts of a text file in order, blank lines left out; a byte-order mark and CRLF are invisible.

    Raises:
        UserError: the file is missing, not UTF-8, holds a NUL, or has no prompt.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}; save the prompts as UTF-8.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). A text file with one prompt a line is wanted."
        ) from None
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:
            raise UserError(f"{path}:{number}: a NUL character; this is no text file with one prompt a line.")
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise UserError(f"{path}: no prompt there. Write one prompt a line.")
    return prompts
