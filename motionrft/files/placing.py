"""From recordings to motions: parts, rates, a reference pose in front, the unit, and which way is up, for all formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.checks import MOST_FRAMES, check_fps, check_frames, doubtful
from motionrft.files.cuts import cuts_of
from motionrft.files.reading import Part, ReadingOptions, parts_of
from motionrft.files.recording import Motion, Recording
from motionrft.files.reference_pose import ROWS_LOOKED_AT, reference_rows, t_pose_rows
from motionrft.files.units import UNITS, guess_unit, rigid
from motionrft.files.up_axis import detect_up, lying_share, up_turn
from motionrft.representations.hymotion import hymotion_to_rotation, rotation_to_hymotion
from motionrft.representations.names import HYMOTION, JOINTS
from motionrft.representations.rotation import turn_rotation

_LOOKED_AT = 100
"""Frames, spread over a clip, by which its unit and its up axis are told."""
_LYING = 0.5


@dataclass(frozen=True)
class _Placing:
    """How a recording comes into our world: turned, scaled, without the rows in front; and what is said of it."""

    turn: np.ndarray
    scale: float
    first: int
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def motions_of(recording: Recording, options: ReadingOptions) -> Iterator[Motion]:
    """The motions that the options make of a recording.

    Raises:
        UserError: a rate is no rate, a part is empty or too long, the unit cannot be told, or a value is not finite.
    """
    check_fps(recording.fps, f"{recording.label}: its frame rate")
    if options.fps is not None:
        check_fps(options.fps, f"{recording.label}: the frame rate that is asked for")
    check_frames_held(recording)
    placing = _place(recording, options)
    _say_rate(recording, options, placing)
    cuts = cuts_of(recording.path, options.cuts)
    if options.cuts and not cuts:
        return
    count = recording.frames - placing.first
    for part in parts_of(count, recording.fps, options, cuts, recording.label):
        yield _motion(
            recording,
            replace(part, start=part.start + placing.first, stop=part.stop + placing.first),
            placing,
            options,
        )


def check_frames_held(recording: Recording) -> None:
    """Refuse a file of fewer than two frames."""
    if recording.frames < 2:
        check_frames(recording.frames, recording.label)


def _motion(recording: Recording, part: Part, placing: _Placing, options: ReadingOptions) -> Motion:
    rate = options.fps or recording.fps
    made = (part.stop - part.start - 1) * rate / recording.fps + 1
    if made > MOST_FRAMES:
        raise UserError(
            f"{recording.label}: {made:,.0f} frames at {rate:g} fps; at most {MOST_FRAMES} make one motion. "
            f"Cut it: --split-long 10, or --start and --end."
        )
    array = recording.take(part.start, part.stop, options.fps)
    check_frames(len(array), recording.label)
    array = _placed(array, recording.representation, placing)
    stem = part.name or recording.name or recording.path.stem
    numbered = recording.batched and (part.name is not None or recording.name is None)
    stem += f"_{recording.index:03d}" if numbered else ""
    stem += f"_{part.number:03d}" if part.number is not None else ""
    doubt = doubtful(array, recording.representation)
    return Motion(
        array,
        recording.representation,
        rate,
        recording.path,
        recording.index,
        recording.batched,
        stem,
        part.text or recording.text,
        (*recording.notes, *placing.notes),
        (*recording.warnings, *placing.warnings, *([doubt] if doubt else [])),
        part.stop - part.start,
    )


def _place(recording: Recording, options: ReadingOptions) -> _Placing:
    """Look at frames over the whole recording and decide how it is turned, scaled and where it begins."""
    asked = options.up if options.up != "auto" else None
    if asked not in (None, "y") and not recording.turnable:
        raise UserError(
            f"{recording.label}: --up {asked}: {recording.representation} values are relative to a ground with Y up; "
            f"turn the joints that they were made of."
        )
    turn = up_turn(asked or "y")
    if recording.joints is None:
        return _Placing(turn, UNITS[options.unit or recording.unit or "metres"], 0)
    spread = np.unique(np.linspace(0, recording.frames - 1, _LOOKED_AT).round().astype(np.int64))
    front = np.arange(min(ROWS_LOOKED_AT, recording.frames))
    both = np.union1d(front, spread)
    looked_at = np.asarray(recording.joints(both), dtype=np.float64)  # (N, 22, 3), one pass over the file
    first, notes = _rows_in_front(recording, options, looked_at[: len(front)])
    joints = _finite(looked_at[np.isin(both, spread) & (both >= first)])
    if not len(joints):
        return _Placing(turn, UNITS[options.unit or recording.unit or "metres"], first, notes)
    warnings: list[str] = []
    scale = _scale(recording, options, joints, notes, warnings)
    if asked is None and recording.turnable:
        up = detect_up(joints * scale, recording.up)
        turn = up_turn(up.axis)
        if up.axis != "y":
            told = "the body stands along it" if up.sure else "such files have it; the body does not tell"
            warnings.append(
                f"read with {up.axis.upper()} up and turned to Y up ({told}); --up y keeps it as it is"
            )
    lying = lying_share(joints @ turn.T)
    if lying > _LYING:
        warnings.append(
            f"its trunk is near horizontal in {lying:.0%} of the frames: "
            f"does it lie, or is another axis up (--up z, --up x)?"
        )
    return _Placing(turn, scale, first, notes, warnings)


def _say_rate(recording: Recording, options: ReadingOptions, placing: _Placing) -> None:
    """Note the rate that a file says, and warn where another one was given for it."""
    if not recording.says_rate:
        return
    placing.notes.append(f"{recording.fps:g} fps")
    if options.source_fps not in (None, recording.fps):
        placing.warnings.append(
            f"it says {recording.fps:g} fps itself, so --source-fps {options.source_fps:g} is not used"
        )


def _rows_in_front(recording: Recording, options: ReadingOptions, rows: np.ndarray) -> tuple[int, list[str]]:
    """How many of the first rows (N, 22, 3) are a reference pose to be dropped, and what is said of it."""
    if options.t_pose == "keep" or not recording.turnable or len(rows) < 4 or len(_finite(rows)) < len(rows):
        return 0, []
    count = reference_rows(rows, recording.at_rest)
    if options.t_pose == "drop" and not count:
        count = min(t_pose_rows(rows), recording.frames - 2)
    if not count:
        return 0, []
    what = "frame, a reference pose," if count == 1 else "frames, a reference pose,"
    return count, [f"dropped {count} {what} in front (--t-pose keep keeps it)"]


def _finite(joints: np.ndarray) -> np.ndarray:
    """The frames of (N, 22, 3) that hold numbers; what is wrong with the others is told when they are read."""
    return joints[(np.abs(joints) < 1e12).all(axis=(1, 2))]


def _scale(
    recording: Recording, options: ReadingOptions, joints: np.ndarray, notes: list[str], warnings: list[str]
) -> float:
    """Metres in one of the file's unit: as asked, as the format says, or by the size of the body."""
    if options.unit is not None:
        return UNITS[options.unit]
    if recording.unit is not None:
        return UNITS[recording.unit]
    guess = guess_unit(joints)
    if guess.unit is None:
        sizes = " or ".join(f"{guess.height * UNITS[unit]:.2f} m in {unit}" for unit in guess.others)
        raise UserError(
            f"{recording.label}: the unit is unclear: a body of {sizes}. Say it with --unit m|cm|mm|inch|cmu."
        )
    if recording.usual_unit is not None:
        usual = (recording.usual_unit, recording.kept_unit)
        if not guess.human or guess.unit in usual or not rigid(joints):
            return UNITS[recording.usual_unit]
        warnings.append(f"read in {guess.unit}: a body of {guess.height:.2f} m (--unit decides otherwise)")
        return UNITS[guess.unit]
    if not guess.human:
        warnings.append(
            f"no unit makes it the size of a person; taken as {guess.unit}, {guess.height:.3g} m tall (--unit decides)"
        )
    notes.append(guess.unit)
    return UNITS[guess.unit]


def _placed(array: np.ndarray, representation: str, placing: _Placing) -> np.ndarray:
    """The values in metres, Y up."""
    turned = not np.array_equal(placing.turn, np.eye(3))
    if representation == JOINTS:
        values = np.asarray(array, dtype=np.float64) * placing.scale
        return np.ascontiguousarray(values @ placing.turn.T if turned else values, dtype=np.float32)
    if turned:
        motion, turn = torch.from_numpy(np.asarray(array, dtype=np.float64)), torch.from_numpy(placing.turn)
        if representation == HYMOTION:
            rotation = turn_rotation(hymotion_to_rotation(motion), turn)
            array = rotation_to_hymotion(rotation[None])[0].numpy()
        else:
            array = turn_rotation(motion, turn).numpy()
    return np.ascontiguousarray(array, dtype=np.float32)
