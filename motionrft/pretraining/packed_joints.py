"""A small copy of motion data sets: joints, captions and splits in one file, to be taken to another machine.

Joints are stored in 16 bits, 0.1 mm apart, as second differences, which compress to a fifth of half precision and
add less to jitter than a capture's own noise does. The file is a tar.xz of plain arrays, one table of clips and the
captions; no pickle.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from motionrft.errors import UserError
from motionrft.files.archives import unpacked
from motionrft.files.captions import read_captions
from motionrft.files.dataset import read_splits
from motionrft.files.motions import FileFault, motion_files, read_motions
from motionrft.files.parallel import mapped
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS
from motionrft.training.atomic import atomic_file, write_text

STEP = 1e-4
"""Metres between two stored positions."""
COLUMNS = ("clip_id", "content", "style", "split", "source")


@dataclass(frozen=True)
class Source:
    """One data set: its motions (a folder or an archive), captions, and a table with a column of splits."""

    name: str
    motions: Path
    captions: Path
    index: Path
    split_column: str = "split"


def pack(sources: Iterable[Source], out: Path, fps: float = 20.0, jobs: int = 1) -> dict[str, int]:
    """Write the copy; clips without captions or split are left out.

    Returns:
        Clips of each source.

    Raises:
        UserError: a source cannot be read, or two sources have a clip of the same name.
    """
    rows: dict[str, dict[str, str]] = {}
    captions: dict[str, list[str]] = {}
    clips: dict[str, np.ndarray] = {}
    for source in sources:
        found = _read_source(source, out, fps, jobs)
        twice = sorted(set(found) & set(clips))
        if twice:
            raise UserError(f"{source.index}: the clip {twice[0]} is in another source already.")
        table, words = read_splits(source.index, source.split_column), read_captions(source.captions)
        for clip, joints in found.items():
            row = table[clip]
            values = (
                clip,
                row.get("content", ""),
                row.get("style", ""),
                row[source.split_column],
                source.name,
            )
            rows[clip] = dict(zip(COLUMNS, values, strict=True))
            clips[clip], captions[clip] = joints, words[clip]
    with atomic_file(out) as path:
        _write(path, clips, rows, captions)
    return {
        name: sum(row["source"] == name for row in rows.values())
        for name in {r["source"] for r in rows.values()}
    }


def unpack(packed: Path, out: Path) -> None:
    """Write `joints/CLIP.npy` (T, 22, 3) float32 metres, `captions.jsonl` and `splits.csv` below `out`.

    Raises:
        UserError: the file is no such copy.
    """
    try:
        with tarfile.open(packed) as archive:
            parts = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
            data = {name: part.read() for name, part in parts.items() if part is not None}
        arrays = [
            np.load(io.BytesIO(data[f"{name}.npy"]), allow_pickle=False)
            for name in ("root", "body", "frames")
        ]
        table = list(csv.DictReader(io.StringIO(data["splits.csv"].decode())))
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
        raise UserError(f"{packed}: not a packed copy of motion data ({error}).") from error
    root, body, frames = arrays
    (out / "joints").mkdir(parents=True, exist_ok=True)
    ends = frames.cumsum()
    for row, first, last in zip(table, ends - frames, ends, strict=True):
        local, path = _summed(body[first:last]), _summed(root[first:last])  # (T, 21, 3), (T, 3)
        joints = np.concatenate((np.zeros_like(local[:, :1]), local), axis=1) + path[:, None]
        np.save(out / "joints" / f"{row['clip_id']}.npy", (joints * STEP).astype(np.float32))
    for name in ("captions.jsonl", "splits.csv"):
        write_text(out / name, data[name].decode())


def _read_source(source: Source, beside: Path, fps: float, jobs: int) -> dict[str, np.ndarray]:
    """Joints (T, 22, 3) of every clip that has captions and a split."""
    table, words = read_splits(source.index, source.split_column), read_captions(source.captions)
    with unpacked([source.motions], beside) as folders:
        paths = [path for path in motion_files(folders) if path.stem in table and words.get(path.stem)]
        clips = {}
        for path, joints in zip(paths, mapped(partial(_joints, fps=fps), paths, jobs), strict=True):
            if isinstance(joints, FileFault):
                raise UserError(joints.message)
            clips[path.stem] = joints
    if not clips:
        raise UserError(f"{source.motions}: no motion has captions and a split.")
    return clips


def _joints(path: Path, fps: float) -> np.ndarray | FileFault:
    try:
        motion = read_motions(path, fps=fps)[0]
        return (
            convert(torch.from_numpy(motion.array)[None], motion.representation, JOINTS)[0].double().numpy()
        )
    except UserError as error:
        return FileFault(path, str(error))


def _write(
    path: Path,
    clips: Mapping[str, np.ndarray],
    rows: Mapping[str, Mapping[str, str]],
    captions: Mapping[str, list[str]],
) -> None:
    steps = [np.round(joints / STEP).astype(np.int64) for joints in clips.values()]
    body = [_differences(joints[:, 1:] - joints[:, :1]) for joints in steps]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    lines = [json.dumps({"clip_id": clip, "captions": captions[clip]}) for clip in clips]
    members: dict[str, Callable[[], bytes]] = {
        "root.npy": lambda: _array(
            np.concatenate([_differences(joints[:, 0]) for joints in steps]).astype(np.int32)
        ),
        "body.npy": lambda: _array(_narrow(np.concatenate(body))),
        "frames.npy": lambda: _array(np.array([len(joints) for joints in steps])),
        "splits.csv": lambda: table.getvalue().encode(),
        "captions.jsonl": lambda: ("\n".join(lines) + "\n").encode(),
    }
    with tarfile.open(path, "w:xz") as archive:
        for name, make in members.items():
            data = make()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _differences(values: np.ndarray) -> np.ndarray:
    """Second differences along time, (T, ...) to (T, ...): `_summed` undoes them."""
    first = np.diff(values, axis=0, prepend=np.zeros_like(values[:1]))
    return np.diff(first, axis=0, prepend=np.zeros_like(values[:1]))


def _summed(differences: np.ndarray) -> np.ndarray:
    return differences.astype(np.int64).cumsum(0).cumsum(0)


def _narrow(values: np.ndarray) -> np.ndarray:
    """int16 by wrapping: sums of wrapped differences, wrapped again, are the positions again as long as those fit."""
    limit = np.iinfo(np.int16)
    if values.min() < limit.min or values.max() > limit.max:
        raise UserError(
            "a joint lies more than 3.2 m from the pelvis or jumps as far: no motion of a person."
        )
    return values.astype(np.int16)


def _array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()
