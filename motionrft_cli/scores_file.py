"""--out of score: a line of JSON a motion, as --json prints them, in a file."""

from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft_cli.console import json_line
from motionrft_cli.outputs import check_writable_file


class ScoresFile:
    """Appears under its name once the last motion is scored; killed before, it leaves what was there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []

    @classmethod
    def chosen(cls, out: Path | None, resume: bool, overwrite: bool) -> "ScoresFile | None":
        """The file of --out, checked before anything is scored; None without.

        Raises:
            UserError: there is one, and no --overwrite; or a flag that means nothing here.
        """
        if resume:
            raise UserError(
                "--resume: score keeps no state to go on from; score what is missing, or --overwrite."
            )
        if out is None:
            if overwrite:
                raise UserError("--overwrite: there is no --out FILE to replace.")
            return None
        check_writable_file(out, overwrite)
        return cls(out)

    def add(self, document: dict[str, Any]) -> None:
        """One more motion."""
        self._lines.append(json_line(document))

    def close(self) -> None:
        """Write them all."""
        from motionrft.training.atomic import write_text

        write_text(self.path, "".join(self._lines))
