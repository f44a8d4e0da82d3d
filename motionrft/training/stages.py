"""A training of several stages in one output folder: OUT/preset.yaml for all of it, OUT/STAGE a run folder each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.training.atomic import write_text
from motionrft.training.run import PRESET, RunFolder, is_run


def open_stage(
    out: Path,
    stage: str,
    preset: str,
    fields: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    resume: bool = False,
    overwrite: bool = False,
    identity: Mapping[str, str] | None = None,
    allow_changed: Sequence[str] = (),
) -> RunFolder:
    """Open the run folder of one stage, as `RunFolder.open` does.

    Args:
        preset: the text of the whole preset. `--resume` starts from it, so it is there before the stage is, and a
            changed one replaces it only where the change is allowed.
        fields: the part of the preset that decides this stage's result.
        resume: go on with this stage if it was begun, begin it otherwise.

    Raises:
        UserError: as `RunFolder.open`.
    """
    file = out / PRESET
    if not file.is_file():
        write_text(file, preset)
    elif not resume and not _written_by_us(file, preset):
        raise UserError(
            f"{file}: exists, and no run of {out} wrote it: it is not replaced. Name another --out, or move it away."
        )
    path = out / stage
    folder = RunFolder.open(
        path,
        fields,
        environment,
        resume=resume and path.is_dir(),
        overwrite=overwrite,
        identity=identity,
        allow_changed=allow_changed,
    )
    write_text(file, preset)
    return folder


def _written_by_us(file: Path, preset: str) -> bool:
    """Whether a preset is that of stages beside it, or the very one that is about to be written."""
    if file.read_bytes() == preset.encode():
        return True
    return any(is_run(child) for child in file.parent.iterdir() if child.is_dir())
