"""What an array must be to count as a motion: its shape, its frames, its numbers."""

from __future__ import annotations

import numpy as np

from motionrft.errors import UserError
from motionrft.representations.names import (
    FLOWMDM,
    HYMOTION,
    JOINTS,
    KINEMATIC,
    ROTATION,
    WIDTHS,
    guess_representation,
    representation_name,
)

MOST_FRAMES = 100_000
"""Longest motion that is read, 83 minutes at 20 fps: beyond it, it is a mistake or an attack on the memory."""
LEGAL_FPS = (1.0, 1000.0)
"""Slowest and fastest frame rate: what lies outside is a unit mistaken, not a motion."""
LARGEST_VALUE = 1e9
"""A thousand kilometres in millimetres. Beyond it, a motion's squares and cubes leave float32."""
_LISTED = 5
_ASTRAY = {KINEMATIC: 0.4, ROTATION: 0.19, HYMOTION: 0.19, FLOWMDM: 0.19}
"""Largest error of 6D columns (`_astray`) that is nothing to speak of: generated kinematic motions reach 0.3, capture has
none; features normalised have more than 1, de-normalised twice 0.5 (kinematic) and 0.2."""
_FEET = (7, 8, 10, 11)
_LIMB_BONES = ((1, 4), (2, 5), (4, 7), (5, 8), (16, 18), (17, 19), (18, 20), (19, 21))
"""Thighs, shins, upper and lower arms, left and right in turn."""
_CHANGING, _UNLIKE = 0.3, 1.6
"""Bones of generated motions change by a tenth, those of people are alike within a few hundredths."""


def recognise_shape(shape: tuple[int, ...], name: str, wanted: str | None = None) -> str:
    """The representation of an array of this shape.

    Args:
        name: what messages call the array.
        wanted: a name or alias that the array must fit; None recognises it.

    Raises:
        UserError: it fits none, or not the wanted one.
    """
    if 0 in shape:
        raise UserError(f"{name}: an empty motion, shape {shape}.")
    guessed = guess_representation(shape)
    if wanted is None:
        if guessed is None:
            raise UserError(f"{name}: {_unknown_shape(shape)}")
        return guessed
    wanted = representation_name(wanted)
    if len(shape) < 2 or len(shape) > 4:
        raise UserError(f"{name}: {_unknown_shape(shape)}")
    width = shape[-2] * 3 if len(shape) >= 3 and shape[-1] == 3 else shape[-1]
    if width not in WIDTHS[wanted]:
        legal = " or ".join(map(str, WIDTHS[wanted]))
        other = (
            f" It looks like {guessed}: convert it with motionrft convert FILE --to {wanted} --out DIR."
            if guessed
            else ""
        )
        raise UserError(f"{name}: shape {shape}; a {wanted} motion has {legal} values a frame.{other}")
    return wanted


def _unknown_shape(shape: tuple[int, ...]) -> str:
    layouts = (
        "A kinematic motion has 263 (HumanML3D) or 251 (KIT-ML), joints are (T, 22, 3) or 66, "
        "rotation is 135, hymotion 201"
    )
    advice = "Other skeletons come in as BVH: motionrft convert FILE.bvh --to kinematic --out DIR."
    if not shape:
        return f"a single number, shape (); a motion is (T, D) with at least two frames. {layouts}. {advice}"
    if len(shape) == 1:
        return (
            f"shape {shape} is one frame without a time axis; a motion is (T, D) with at least two frames. "
            f"{layouts}. {advice}"
        )
    if len(shape) > 4:
        return (
            f"shape {shape} has {len(shape)} axes; a motion is (T, D), a batch (B, T, D). {layouts}. {advice}"
        )
    if shape[-2:] == (3, 22):
        return f"shape {shape} has coordinates before joints; joints are (T, 22, 3). {layouts}. {advice}"
    if shape[-1] == 3:
        return (
            f"shape {shape} has {shape[-2]} joints of 3; SMPL has 22, KIT-ML 21. "
            f"Say which of them are ours with --joint-map FILE (by number, from 0). {layouts}. {advice}"
        )
    return f"last axis is {shape[-1]}. {layouts}. {advice}"


def checked_values(array: np.ndarray, name: str) -> np.ndarray:
    """The motion as float32, if it has a legal number of frames and every number is finite."""
    check_frames(len(array), name)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is told below
        values = np.array(array, dtype=np.float32, order="C")
    check_finite(values, name)
    largest = np.abs(values).reshape(len(values), -1).max(axis=1)
    if (far := largest > LARGEST_VALUE).any():
        raise UserError(
            f"{name}: a value of {largest.max():.3g} in frame {np.argmax(far)}; "
            f"a motion's values stay below {LARGEST_VALUE:g}."
        )
    return values


def check_finite(values: np.ndarray, name: str) -> None:
    """Refuse a motion (T, ...) with NaN or infinity in it.

    Raises:
        UserError: names the first frames concerned.
    """
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        listed = ", ".join(map(str, bad[:_LISTED])) + (
            f" and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        )
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise UserError(f"{name}: {kind} in frame {listed} of {len(values)}.")


def check_frames(frames: int, name: str) -> None:
    """Refuse a motion that is too short to move or too long to hold.

    Raises:
        UserError: fewer than two frames, or more than `MOST_FRAMES`.
    """
    if frames < 2:
        raise UserError(f"{name}: has {frames} frame; a motion has at least two.")
    if frames > MOST_FRAMES:
        raise UserError(f"{name}: has {frames} frames; at most {MOST_FRAMES} are read. Cut it into clips.")


def check_fps(fps: float, name: str) -> float:
    """The frame rate, if it is one.

    Raises:
        UserError: not finite, or outside `LEGAL_FPS`.
    """
    low, high = LEGAL_FPS
    if not low <= fps <= high:
        raise UserError(f"{name} is {fps:g}; a frame rate is a number from {low:g} to {high:g} a second.")
    return fps


def check_resampling(frames: int, source_fps: float, target_fps: float, name: str) -> None:
    """Refuse to make a motion of more than `MOST_FRAMES` frames from a shorter one, before it is made.

    Raises:
        UserError: a rate is no frame rate, or the result would be too long.
    """
    check_fps(source_fps, f"{name}: the source's frame rate")
    check_fps(target_fps, f"{name}: the frame rate that is asked for")
    if (made := (frames - 1) * target_fps / source_fps + 1) > MOST_FRAMES:
        raise UserError(
            f"{name}: {frames} frames at {source_fps:g} fps are {made:,.0f} at {target_fps:g}; "
            f"at most {MOST_FRAMES} are made. Is the frame rate right?"
        )


def doubtful(array: np.ndarray, representation: str) -> str | None:
    """What is suspicious about a motion's numbers, or None: features that look normalised, joints not in metres.

    Raw 6D columns are orthogonal and of length one, and legs are about as long as legs; normalised features, features
    de-normalised twice and millimetres are not so. Contacts of the feet are 0 or 1, or near to them.
    """
    if representation == JOINTS:
        joints = array.reshape(len(array), -1, 3)
        return _doubt_scale(joints) if joints.shape[1] == 22 else None
    width = array.shape[-1]
    places = {263: slice(67, 193), 251: slice(64, 184), 135: slice(3, 135), 201: slice(3, 135)}[width]
    astray = _astray(array[:, places].reshape(len(array), -1, 6))
    if astray > _ASTRAY[representation]:
        return (
            f"its rotations are not unit columns (off by {astray:.2f}): "
            f"is it normalised, or de-normalised twice? Files hold de-normalised features."
        )
    return _doubt_contacts(array[:, -4:]) if representation == KINEMATIC else None


def _doubt_contacts(contacts: np.ndarray) -> str | None:
    """Flags (T, 4) of two numbers that are not 0 and 1: scaled, by whatever statistics. Generated ones take many."""
    levels = [np.unique(flag.round(3)) for flag in contacts.T]
    if max(map(len, levels)) != 2 or all((np.isin(values, (0, 1))).all() for values in levels):
        return None
    low, high = next(values for values in levels if len(values) == 2)
    return (
        f"its feet's contacts are {low:.2g} or {high:.2g} where raw features have 0 or 1: "
        f"is it normalised, or de-normalised twice? Files hold de-normalised features."
    )


def _astray(sixd: np.ndarray) -> float:
    """How far (T, J, 6) are from two orthogonal unit columns, stacked or interleaved: of most joints, in most frames.

    Normalised features are far off in every joint. De-normalised twice they lie close to the mean, which is a rotation
    for a joint that hardly turns and none for one that does.
    """

    def errors(first: np.ndarray, second: np.ndarray) -> float:
        lengths = [np.abs(np.linalg.norm(each, axis=-1) - 1) for each in (first, second)]
        angle = np.abs((first * second).sum(axis=-1))
        return float(np.quantile(np.median(np.max([*lengths, angle], axis=0), axis=0), 0.9))

    if not np.any(sixd):
        return 0.0
    return min(errors(sixd[..., :3], sixd[..., 3:]), errors(sixd[..., 0::2], sixd[..., 1::2]))


def _doubt_scale(joints: np.ndarray) -> str | None:
    legs = [
        np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for parent, child in ((1, 4), (4, 7))
    ]
    leg = float(np.median(sum(legs)))
    size = f"its legs are {leg:.3g} m long"
    if 0 < leg < 0.2 or leg > 3:
        return f"{size}: is it in another unit, or normalised?"
    if (order := _doubt_order(joints)) is not None:
        return order
    lowest = float(np.quantile(joints[:, _FEET, 1].min(axis=1), 0.05))
    if 0 < leg < 0.25 or leg > 1.25 or (leg > 1.05 and lowest < -1.2):
        return f"{size}: is it in another unit, or normalised?"
    if leg < 0.75 and lowest > 0.6 * leg:
        return f"{size} and its feet never come below {lowest:.2g} m: is it de-normalised twice?"
    return None


def _doubt_order(joints: np.ndarray) -> str | None:
    """Bones of limbs that change their length, or are not alike left and right: joints in another skeleton's order."""
    lengths = np.stack(
        [np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for parent, child in _LIMB_BONES]
    )  # (8, T)
    mean = lengths.mean(axis=1)
    if not (mean > 0).all():
        return None
    change = float((lengths.std(axis=1) / mean).max())
    sides = mean[0::2] / mean[1::2]
    apart = float(max(sides.max(), 1 / sides.min()))
    if change > _CHANGING or apart > _UNLIKE:
        what = (
            f"change their length by {change:.0%}"
            if change > _CHANGING
            else f"differ {apart:.1f}-fold left and right"
        )
        return f"its limbs' bones {what}: is it normalised, or are its joints in another order (--joint-map)?"
    return None
