"""What goes to a terminal: words, never commands. Names of files may hold sequences that move a cursor, or worse."""

import os
import re
import sys
from io import TextIOWrapper

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udc9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line end, also as the bytes of a name that is no UTF-8, and what turns the writing
direction."""
_LONGEST = 4000
"""Characters of a line: a message may quote what a damaged file holds."""


def visible(text: str) -> str:
    """The text with its control characters written out, as `\\x1b`, and with endless lines cut."""
    if len(text) > _LONGEST:
        text = "\n".join(f"{line[:_LONGEST]}…" if len(line) > _LONGEST else line for line in text.split("\n"))
    return _CONTROL.sub(lambda found: _spelled(ord(found[0])), text)


def _spelled(code: int) -> str:
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code  # a byte that is no UTF-8
    return f"\\x{byte:02x}" if byte < 256 else f"\\u{byte:04x}"


def prepare_streams() -> None:
    """Let every name and every prompt be printed, in any locale, and closed streams be written to in vain.

    A stream that was closed (`<&-`, `>&-`) leaves its number to the next file that is opened, which every stray word
    would then be written into: the number is taken first.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - open for the life of the process
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            unicode = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if unicode else "backslashreplace")
