"""How Kimodo cleans a prompt before it is encoded (nv-tlabs/kimodo): what its text features belong to."""

import re

_OPENING = re.compile(r"^[\W_]+")
_CLOSING = re.compile(r"[^\w.!?)\]}\"']+$|_+$")
"""What ends a sentence, or closes something that was opened in it, stays."""
_CROWDED = re.compile(r"([.!?])(?=[^\s.!?)\]}\"'])")
_FIRST_LETTER = re.compile(r"(?:^|[.!?]\s)[^\W\d_]")


def clean_prompt(text: str) -> str:
    """`" A Person is  walking"` to `"A person is walking."`; what is empty, or symbols alone, to `""`.

    Blanks are collapsed, symbols around the text dropped, everything is lower case but the first letter of each sentence,
    a blank follows each . ! ? and a period ends the text where none of them does.
    """
    text = _OPENING.sub("", " ".join(text.split()))
    text = _CLOSING.sub("", text).lower()
    if not text:
        return ""
    text = _FIRST_LETTER.sub(lambda start: start[0][:-1] + start[0][-1].upper(), _CROWDED.sub(r"\1 ", text))
    return text if text[-1] in ".!?" else f"{text}."
