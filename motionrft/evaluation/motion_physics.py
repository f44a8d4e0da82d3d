"""Physics of motions, with real motion beside it: no evaluator is asked."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.evaluation.metrics.exact import exact
from motionrft.evaluation.result import EvaluationResult, collect, machine
from motionrft.files import Motion, motion_files
from motionrft.files.motions import FileFault, arrays_at_their_rate, stream_motions
from motionrft.files.physical import physical_joints
from motionrft.files.reading import ReadingOptions
from motionrft.physics import physics_measures
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.fingerprints import folder_hash

USUAL_FPS = 20.0
SHORTEST = 4
"""Frames: jitter is a third difference."""


def evaluate_physics(
    motions: Path,
    real: MotionDataset | None = None,
    name: str | None = None,
    limit: int | None = None,
    options: ReadingOptions | None = None,
    company: Distribution = ALONE,
) -> tuple[EvaluationResult, list[str]]:
    """Measure every motion below a folder; the interval is over motions.

    Args:
        real: a split whose motions are shown beside; None leaves the column out.
        limit: at most so many real motions.
        options: how the files are read. All are measured at one rate: theirs, else the real motions', else 20 fps.
        company: the processes that share the files; all of them get the whole result.

    Returns:
        The result, and a sentence for each file that could not be judged.

    Raises:
        UserError: no motion could be judged.
    """
    measured, faults = [], []
    options = options or ReadingOptions()
    fps = options.fps or (USUAL_FPS if real is None else real.fps)
    files = motion_files([motions])
    asked = replace(options, fps=fps)
    for path in files[company.rows(len(files))]:
        for found in stream_motions(path, arrays_at_their_rate(path, asked)):
            if isinstance(found, FileFault):
                faults.append(found.message)
                continue
            joints = physical_joints(found, fps).joints
            if len(joints) < SHORTEST:
                faults.append(f"{found.source}: {len(joints)} frames; physics needs at least {SHORTEST}.")
            else:
                measured.append(_measures(joints, fps))
    parts = company.gather((measured, faults))
    measured = [each for part, _ in parts for each in part]
    faults = [each for _, part in parts for each in part]
    if not measured:
        raise UserError(f"{motions}: no motion could be judged. {faults[0] if faults else ''}".strip())
    result = EvaluationResult(
        "physics",
        {"name": name or motions.name, "identity": folder_hash(motions) if motions.is_dir() else ""},
        {},
        {"identity": None if real is None else real.identity, "split": str(motions), "items": len(measured)},
        {"over": "motions", "fps": fps},
        [],
        machine("cpu"),
        collect(measured),
        {} if real is None else collect(_of_dataset(real, limit)),
        ["Each motion counts once; ± is the 95 % interval over motions."],
    )
    return result, faults


def _measures(joints: Tensor, fps: float) -> dict[str, Tensor]:
    """() measures of one motion (T, J, 3)."""
    batch, lengths = pad([joints])
    values = physics_measures(batch, lengths, fps)
    # In float64: a drift of nothing would otherwise be a drift of rounding.
    values |= physics_measures(exact(batch), lengths, fps, ("bone_length_drift",))
    return {name: value[0] for name, value in values.items()}


def _of_dataset(dataset: MotionDataset, limit: int | None) -> Sequence[dict[str, Tensor]]:
    source = next(name for name in ("joints", "kinematic", "rotation") if name in dataset.representations)
    motions = []
    for index in range(min(len(dataset), limit or len(dataset))):
        clip = Motion(dataset.motion(index, source).numpy(), source, dataset.fps, dataset.folder)
        motions.append(_measures(physical_joints(clip, dataset.fps).joints, dataset.fps))
    return motions
