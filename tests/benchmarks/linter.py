"""How many real captures pass the linter's limits, and how many planted faults fail. Run:

python -m tests.benchmarks.linter BVH_FOLDER [--index INDEX.csv] [--joints FOLDER] [--limit N]

BVH_FOLDER holds the Bandai-Namco clips (`bvh.tar.xz` unpacked), INDEX its table: of these, `split_strict` test is taken.
`--joints` adds .npy captures. Prints a Markdown table: share of clips that fail, over all and by the broken limit.
"""

import argparse
import csv
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from motionrft.files import Motion, motion_files, read_motions
from motionrft.reward.limits import Limits
from motionrft.reward.score_preset import ScorePreset
from motionrft.reward.scoring import Query, Score, Scorer, choose_terms
from motionrft.settings.layers import resolve
from motionrft.skeleton import SMPL22

FPS = 20.0
Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _moved(joints: np.ndarray, up: float) -> np.ndarray:
    return joints + np.array([0, up, 0], np.float32)


def _drifting(joints: np.ndarray, speed: float) -> np.ndarray:
    """The whole body glides along X."""
    way = np.arange(len(joints), dtype=np.float32)[:, None] * speed / FPS
    return joints + np.stack((way, 0 * way, 0 * way), axis=-1)


def _in_place(joints: np.ndarray) -> np.ndarray:
    """The path is taken away, the steps stay."""
    path = joints[:, :1] - joints[:1, :1]
    return joints - path * np.array([1, 0, 1], np.float32)


FAULTS: dict[str, Fault] = {
    "none": lambda x, draws: x,
    "sunk by 12 cm": lambda x, draws: _moved(x, -0.12),
    "floating by 15 cm": lambda x, draws: _moved(x, 0.15),
    "gliding at 0.5 m/s": lambda x, draws: _drifting(x, 0.5),
    "gliding at 1 m/s": lambda x, draws: _drifting(x, 1.0),
    "walking in place": lambda x, draws: _in_place(x),
    "trembling by 1 cm": lambda x, draws: x + draws.normal(0, 0.01, x.shape).astype(np.float32),
    "Z taken for Y": lambda x, draws: x[..., [0, 2, 1]] * np.array([1, -1, 1], np.float32),
    "sides exchanged": lambda x, draws: x[:, list(SMPL22.mirror_order)],
    "arms exchanged": lambda x, draws: x[:, [*range(13), 14, 13, 15, 17, 16, 19, 18, 21, 20]],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bvh", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--joints", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    groups = {"Bandai-Namco, strict test": list(_captures(given.bvh, given.index, given.limit))}
    if given.joints is not None:
        groups["CMU"] = list(_captures(given.joints, None, given.limit))
    preset = resolve(ScorePreset, "lint")
    limits = Limits(preset.fail_under, preset.fail_over)
    print("| captures | fault | fail | of them by |\n|---|---|---:|---|")
    for name, motions in groups.items():
        for fault in FAULTS:
            _row(name, fault, [m for m in motions if fault != "walking in place" or _travels(m)], limits)


def _captures(folder: Path, index: Path | None, limit: int | None) -> Iterator[Motion]:
    files = motion_files([folder])
    if index is not None:
        with index.open() as rows:
            test = {row["clip_id"] for row in csv.DictReader(rows) if row["split_strict"] == "test"}
        files = [file for file in files if file.stem in test]
    random.Random(0).shuffle(files)
    for file in files[:limit]:
        yield from read_motions(file, fps=FPS)


def _travels(motion: Motion) -> bool:
    return bool(np.linalg.norm((motion.array[-1, 0] - motion.array[0, 0])[[0, 2]]) > 1)


def _row(name: str, fault: str, motions: list[Motion], limits: Limits) -> None:
    draws = np.random.default_rng(0)
    planted = [replace(m, array=FAULTS[fault](m.array, draws)) for m in motions]
    scorer = Scorer(None, choose_terms(["physics"], None))
    failed: Counter[str] = Counter()
    count = 0
    for found in scorer.score(map(Query, planted)):
        assert isinstance(found, Score), found
        broken = {sentence.split()[0] for sentence in limits.broken(found)}
        failed.update(broken)
        count += bool(broken)
    by = ", ".join(f"{term} {number}" for term, number in failed.most_common())
    print(
        f"| {name} ({len(motions)}) | {fault} | {100 * count / max(1, len(motions)):.1f} % | {by} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
