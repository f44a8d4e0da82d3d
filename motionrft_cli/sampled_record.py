"""What a folder of samples was made with, so that nothing made otherwise comes to lie beside them unsaid."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.files.dataset_layout import SAMPLING
from motionrft.generators.preset import SamplePreset

_FREE = ("batch", "formats", "generator", "num")
"""Settings that two calls need not share: what is made does not depend on them, or, of the generator, on its hash."""


@dataclass(frozen=True)
class SampledRecord:
    """out: the folder. preset, generator: the settings, and the hash of what samples. fps: of the motions: arrays do not
    say it, and readers find it here."""

    out: Path
    preset: SamplePreset
    generator: str
    fps: float

    def compare(self) -> None:
        """Raise `UserError` where what is there was made otherwise; each difference is named."""
        from motionrft.parsing import read_json
        from motionrft.training.changes import changed_keys

        path = self.out / SAMPLING
        if path.is_file() and (changed := changed_keys(read_json(path), json.loads(self._text()))):
            raise UserError(
                f"{self.out}: what is there was sampled otherwise: {'; '.join(changed)}. "
                "Name another folder, or add --overwrite."
            )

    def write(self) -> None:
        from motionrft.training.atomic import write_text

        write_text(self.out / SAMPLING, self._text())

    def _text(self) -> str:
        fields: dict[str, Any] = {
            name: value for name, value in self.preset.result_fields().items() if name not in _FREE
        }
        return (
            json.dumps({**fields, "generator_hash": self.generator, "fps": self.fps}, indent=1, default=str)
            + "\n"
        )
