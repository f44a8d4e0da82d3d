"""Which text is said of which motion."""

from pathlib import Path

from motionrft.errors import UserError
from motionrft.plurals import counted


class MotionTexts:
    """Which text belongs to which motion: one for all, one a motion in order, or the file beside it."""

    def __init__(self, text: str | None, file: Path | None) -> None:
        from motionrft.data import read_prompts

        if text is not None and file is not None:
            raise UserError("--text and --text-file: give one of them")
        if text is not None and not text.strip():
            raise UserError("--text is empty")
        self.file = file
        self.lines = [text] if text is not None else read_prompts(file) if file is not None else None
        self.used = 0

    @property
    def given(self) -> bool:
        """Whether the command line says texts, which go before those in files."""
        return self.lines is not None

    @property
    def one_a_motion(self) -> bool:
        """Whether a motion's text depends on how many motions come before it."""
        return self.lines is not None and len(self.lines) > 1

    def of(self, motion: Path) -> str | None:
        """The text of the next motion, which lies in that file."""
        if self.lines is None:
            return _beside(motion)
        if len(self.lines) == 1:
            return self.lines[0]
        if self.used == len(self.lines):
            raise UserError(
                f"{self.file}: {self.used} texts, but more motions than that; give one line a motion"
            )
        self.used += 1
        return self.lines[self.used - 1]

    def pass_over(self) -> None:
        """The next motion cannot be read: a text of its own is nobody else's."""
        self.used += self.one_a_motion

    @property
    def unused(self) -> str | None:
        """What to say where texts come one a motion and some are left once all motions are read."""
        if not self.one_a_motion or self.lines is None or self.used >= len(self.lines):
            return None
        return (
            f"{self.file}: {len(self.lines)} texts, but {counted(self.used, 'motion')}: the last ones belong to none. "
            "Is each motion beside its own text?"
        )


def _beside(motion: Path) -> str | None:
    from motionrft.data import read_captions

    file = motion.with_suffix(".txt")
    captions = read_captions(file) if file.is_file() else []
    return captions[0].text if captions else None
