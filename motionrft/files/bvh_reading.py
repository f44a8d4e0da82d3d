"""Reading BVH: the hierarchy, the frames, and where the joints are.

Rotation channels turn in the listed order as intrinsic rotations. Position channels REPLACE a joint's OFFSET, on any
joint and not only on the root: some studios write six channels everywhere, and adding would double each bone.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.files.checks import LEGAL_FPS
from motionrft.parsing import UTF16_MARKS, decode_text, parsing
from motionrft.representations.joints import resample_linear
from motionrft.representations.resample import resample_quaternions
from motionrft.rotations import euler_to_quaternion, quaternion_to_matrix

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_LOWER = {name.lower(): name for name in CHANNELS}
END = " End"
"""What follows a joint's name in the name of its End Site."""
MOST_POSES = 20_000_000
"""Frames times joints of the largest skeleton that is posed: half a gigabyte of positions."""
_NUMBER = re.compile(
    r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)(inity)?", re.ASCII | re.IGNORECASE
)
"""What a number looks like. Python's `float` takes `1_0` as well, which no other reader of BVH does."""


@dataclass(frozen=True)
class Bvh:
    """A parsed file. J joints, End Sites among them (named after their joint), parents before children.

    offsets: (J, 3) float64, the file's unit.
    channels: per joint, the channel names in file order; empty for an End Site.
    fps: frames per second, rounded to a whole number where the file's frame time is within 1 % of one.
    values: (T, C) float64, degrees and the file's unit.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[str, ...], ...]
    fps: float
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def stretch(self, frames: slice | np.ndarray) -> Bvh:
        """The same skeleton with some of the frames."""
        return replace(self, values=self.values[frames])


def read_bvh(path: Path | str) -> Bvh:
    """Read and check a BVH file.

    Raises:
        UserError: the file is not BVH or is damaged; the message names the line.
    """
    with parsing(path, "a BVH file"):
        return parse_bvh(Path(path).read_bytes(), str(path))


def parse_bvh(data: bytes, name: str) -> Bvh:
    """Parse the bytes of a BVH file; `name` is what messages call it."""
    if data.startswith(UTF16_MARKS):
        data = decode_text(data).encode()
    if b"\r" in data and b"\n" not in data:  # line ends of old Macs
        data = data.replace(b"\r", b"\n")
    motion = re.search(rb"^[ \t]*MOTION\b[^\n]*\n?", data, re.MULTILINE | re.IGNORECASE)
    if motion is None:
        raise UserError(f"{name}: no MOTION section. {_looks_like(data)}")
    header = data[: motion.start()].decode("utf-8-sig", errors="replace")
    names, parents, offsets, channels = _Hierarchy(header, name).parse()
    line = data.count(b"\n", 0, motion.end()) + 1
    frames, frame_time, start, line = _motion_head(data, motion.end(), line, name)
    width = sum(map(len, channels))
    values = _frame_values(data[start:], frames, width, line, name)
    return Bvh(names, parents, offsets, channels, _frame_rate(frame_time), values)


def _looks_like(data: bytes) -> str:
    if not data.strip():
        return "The file is empty."
    if data.lstrip()[:1] == b"<":
        return "It is a web page: the download failed."
    return "It is truncated, or not a BVH file."


class _Hierarchy:
    """Reading the HIERARCHY section, with line numbers for messages; open joints are a list, so depth costs nothing."""

    def __init__(self, text: str, name: str) -> None:
        self.tokens = [
            (token, number) for number, line in enumerate(text.split("\n"), 1) for token in line.split()
        ]
        self.name = name
        self.place = 0
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[tuple[str, ...]] = []

    def parse(self) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray, tuple[tuple[str, ...], ...]]:
        self._expect("HIERARCHY")
        self._expect("ROOT")
        opened = [self._open(self._rest_of_line(), parent=-1)]
        while opened:
            self._statement(opened)
        if self.place < len(self.tokens):
            token, _ = self.tokens[self.place]
            self._fail(
                "a second ROOT; one file holds one person"
                if token.upper() == "ROOT"
                else f"unexpected {token!r}"
            )
        doubles = [joint for joint, count in Counter(self.names).items() if count > 1]
        if doubles:
            raise UserError(f"{self.name}: two joints are called {sorted(doubles)[0]!r}.")
        return tuple(self.names), tuple(self.parents), np.array(self.offsets), tuple(self.channels)

    def _open(self, joint: str, parent: int) -> int:
        self.names.append(joint)
        self.parents.append(parent)
        self.offsets.append([0.0, 0.0, 0.0])
        self.channels.append(())
        self._expect("{")
        return len(self.names) - 1

    def _statement(self, opened: list[int]) -> None:
        """Read one statement of the innermost open joint: a value of it, a child that opens, or its end."""
        joint, token = opened[-1], self._next().upper()
        if token == "}":
            opened.pop()
        elif token == "OFFSET":
            self.offsets[joint] = self._offset()
        elif token == "CHANNELS":
            self.channels[joint] = self._channels()
        elif token == "JOINT":
            opened.append(self._open(self._rest_of_line(), joint))
        elif token == "END":
            self._rest_of_line()
            opened.append(self._open(self.names[joint] + END, joint))
        else:
            self.place -= 1
            self._fail(f"expected OFFSET, CHANNELS, JOINT, End Site or }}, found {token!r}")

    def _offset(self) -> list[float]:
        """Three numbers; or six, whose last three are a rest orientation that rotation channels replace (NVIDIA's SOMA
        retargeter writes so)."""
        values = [self._number() for _ in range(3)]
        line = self._line()
        while self.place < len(self.tokens) and self.tokens[self.place][1] == line:
            if not _NUMBER.fullmatch(self.tokens[self.place][0]):
                break
            values.append(self._number())
        if len(values) not in (3, 6):
            self.place -= 1
            self._fail(f"OFFSET has {len(values)} numbers, not 3")
        return values[:3]

    def _channels(self) -> tuple[str, ...]:
        count, line = int(self._number()), self._line()
        listed: list[str] = []
        while self.place < len(self.tokens) and self.tokens[self.place][1] == line:
            listed.append(self._next())
        if len(listed) != count:
            self.place -= 1
            self._fail(f"CHANNELS says {count} and lists {len(listed)}")
        unknown = [channel for channel in listed if channel.lower() not in _LOWER]
        named = tuple(_LOWER.get(channel.lower(), channel) for channel in listed)
        if unknown or len(set(named)) < len(named):
            self.place -= 1
            self._fail(
                f"channel {(unknown or listed)[0]!r} is unknown or twice there; legal, once each: {', '.join(CHANNELS)}"
            )
        return named

    def _next(self) -> str:
        if self.place >= len(self.tokens):
            self._fail("the hierarchy ends here with an open brace")
        self.place += 1
        return self.tokens[self.place - 1][0]

    def _expect(self, word: str) -> None:
        if self._next().upper() != word:
            self.place -= 1
            self._fail(f"expected {word}, found {self.tokens[self.place][0]!r}")

    def _line(self) -> int:
        """Line of the token read last."""
        return self.tokens[max(self.place - 1, 0)][1]

    def _rest_of_line(self) -> str:
        """A name may hold spaces; it ends at the line's end or at an opening brace."""
        line, words = self._line(), []
        while (
            self.place < len(self.tokens)
            and self.tokens[self.place][1] == line
            and self.tokens[self.place][0] != "{"
        ):
            words.append(self._next())
        return " ".join(words)

    def _number(self) -> float:
        token = self._next()
        if not _NUMBER.fullmatch(token):
            self.place -= 1
            self._fail(_not_a_number(token))
        value = float(token)
        if not np.isfinite(value):
            self.place -= 1
            self._fail(f"{token} is not a finite number")
        return value

    def _fail(self, reason: str) -> None:
        at = min(self.place, len(self.tokens) - 1)
        line = self.tokens[at][1] if self.tokens else 1
        raise UserError(f"{self.name}: line {line}: {reason}.")


def _not_a_number(token: str) -> str:
    hint = "; decimals need a point, not a comma" if re.fullmatch(r"-?\d+,\d+(e-?\d+)?", token) else ""
    return f"{token[:40]!r} is not a number{hint}"


def _motion_head(data: bytes, start: int, line: int, name: str) -> tuple[int, float, int, int]:
    """Frames, frame time, and where the frames start: the byte and the line."""
    found: list[tuple[str, int]] = []
    for label in ("Frames", "Frame Time"):
        text, start, line = _next_line(data, start, line)
        match = re.fullmatch(label.replace(" ", r"\s*") + r"\s*:\s*(\S+)", text, re.IGNORECASE)
        if match is None:
            raise UserError(f"{name}: line {line}: expected '{label}: NUMBER', found {text[:40]!r}.")
        found.append((match[1], line))
        line += 1
    return _frame_count(*found[0], name), _frame_time(*found[1], name), start, line


def _next_line(data: bytes, start: int, line: int) -> tuple[str, int, int]:
    """The first line from `start` on that is not blank, where the next one starts, and its number."""
    match = re.compile(rb"\S").search(data, start)
    first = len(data) if match is None else match.start()
    end = data.find(b"\n", first)
    end = len(data) if end < 0 else end
    text = data[first:end].decode("utf-8", errors="replace").strip()
    return text, min(end + 1, len(data)), line + data.count(b"\n", start, first)


def _frame_count(word: str, line: int, name: str) -> int:
    if not re.fullmatch(r"[-+]?\d{1,18}", word, re.ASCII):
        raise UserError(f"{name}: line {line}: Frames is {word[:40]!r}, not a whole number.")
    if int(word) < 1:
        raise UserError(f"{name}: line {line}: the motion has {word} frames.")
    return int(word)


def _frame_time(word: str, line: int, name: str) -> float:
    """Seconds from frame to frame."""
    if not _NUMBER.fullmatch(word):
        raise UserError(f"{name}: line {line}: Frame Time {_not_a_number(word)}.")
    low, high = LEGAL_FPS
    seconds = float(word)
    if not 1 / high <= seconds <= 1 / low:
        milliseconds = 1 / high <= seconds / 1000 <= 1 / low
        advice = (
            f"Is it in milliseconds? Then write {seconds / 1000:.6g}."
            if milliseconds
            else "30 fps is 0.0333333."
        )
        raise UserError(f"{name}: line {line}: Frame Time {word} s is no frame rate. {advice}")
    return seconds


def _frame_rate(frame_time: float) -> float:
    fps = 1 / frame_time
    whole = max(1, round(fps))
    return float(whole) if abs(fps - whole) <= 0.01 * whole else fps


def _frame_values(data: bytes, frames: int, width: int, line: int, name: str) -> np.ndarray:
    """The frames as (T, C), parsed in bulk; only a file that does not fit is read line by line, to say where."""
    with warnings.catch_warnings():
        # A word that is no number stops the bulk parser with a warning; the size then tells.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            values = np.fromstring(data, sep=" ")
        except ValueError:
            values = np.empty(0)
    if values.size != frames * width:
        raise UserError(f"{name}: {_first_fault(data, frames, width, line)}")
    values = values.reshape(frames, width)
    finite = np.isfinite(values)
    if not finite.all():
        frame = int(np.argmin(finite.all(axis=1)))
        raise UserError(f"{name}: line {line + frame}: frame {frame} holds a value that is not finite.")
    return values


def _first_fault(data: bytes, frames: int, width: int, line: int) -> str:
    rows = data.decode("utf-8", errors="replace").split("\n")
    while rows and not rows[-1].strip():
        rows.pop()
    for number, row in enumerate(rows, line):
        words = row.split()
        for word in words:
            if not _NUMBER.fullmatch(word):
                return f"line {number}: {_not_a_number(word)}."
        if len(words) != width:
            return f"line {number}: {len(words)} values, the hierarchy has {width} channels."
    return f"line {line + len(rows)}: the header promises {frames} frames, the file holds {len(rows)}."


def joint_positions(bvh: Bvh, fps: float | None = None) -> tuple[Tensor, float]:
    """World positions of all joints and End Sites, in the file's unit.

    Args:
        fps: resample to this rate, rotations by slerp and translations linearly, before the forward kinematics, so that
            bone lengths survive. None keeps the file's rate.

    Returns:
        (T, J, 3) float64, and the rate of the result.

    Raises:
        UserError: more than `MOST_POSES` positions would be made.
    """
    frames = len(bvh) if fps is None else (len(bvh) - 1) * fps / bvh.fps + 1
    if frames * len(bvh.names) > MOST_POSES:
        raise UserError(
            f"{frames:,.0f} frames of {len(bvh.names):,} joints; at most {MOST_POSES:,} positions are computed. "
            f"Cut the file into clips."
        )
    translations, rotations = _local_pose(bvh)
    if fps is not None and fps != bvh.fps:
        translations = resample_linear(translations, bvh.fps, fps)
        rotations = resample_quaternions(rotations, bvh.fps, fps)
    matrices = quaternion_to_matrix(rotations)
    world: list[Tensor] = []
    places: list[Tensor] = []
    for joint, parent in enumerate(bvh.parents):
        if parent < 0:
            world.append(matrices[:, joint])
            places.append(translations[:, joint])
            continue
        bone = translations[:, joint, :, None]
        places.append(places[parent] + (world[parent] @ bone).squeeze(-1))
        world.append(world[parent] @ matrices[:, joint])
    return torch.stack(places, dim=1), bvh.fps if fps is None else fps


def _local_pose(bvh: Bvh) -> tuple[Tensor, Tensor]:
    """Translations (T, J, 3) and quaternions (T, J, 4) of every joint relative to its parent."""
    frames = len(bvh)
    translations = torch.from_numpy(np.broadcast_to(bvh.offsets, (frames, *bvh.offsets.shape)).copy())
    rotations = torch.zeros(frames, len(bvh.names), 4, dtype=torch.float64)
    rotations[..., 0] = 1
    values = torch.from_numpy(bvh.values)
    start = 0
    turning: dict[str, list[tuple[int, list[int]]]] = {}
    for joint, channels in enumerate(bvh.channels):
        for place, channel in enumerate(channels, start):
            if channel.endswith("position"):
                translations[:, joint, "XYZ".index(channel[0])] = values[:, place]
        places = [start + i for i, channel in enumerate(channels) if channel.endswith("rotation")]
        axes = "".join(channel[0] for channel in channels if channel.endswith("rotation"))
        if axes:
            turning.setdefault(axes, []).append((joint, places))
        start += len(channels)
    for axes, users in turning.items():
        angles = torch.deg2rad(values[:, [places for _, places in users]])
        rotations[:, [joint for joint, _ in users]] = euler_to_quaternion(angles, axes)
    return translations, rotations
