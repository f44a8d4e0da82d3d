"""A small data set in HumanML3D's layout."""

from pathlib import Path

import numpy as np
import pytest

LABELS = ("walk/old", "walk/old", "walk/old", "walk/young", "wave/old", "wave/young")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six clips of 20 to 45 frames, three of one kind; the last has a caption of its second second alone."""
    root = tmp_path / "set"
    for name in ("new_joint_vecs", "texts"):
        (root / name).mkdir(parents=True)
    draws = np.random.default_rng(0)
    rows = ["clip_id,content,style"]
    for number, label in enumerate(LABELS):
        name = f"{number:06d}"
        np.save(root / "new_joint_vecs" / name, draws.normal(size=(20 + 5 * number, 263)).astype(np.float32))
        part = "\nonly a part##1.0#2.0" if number == 5 else ""
        (root / "texts" / f"{name}.txt").write_text(
            f"clip {number}##0.0#0.0\nagain {number}##0.0#0.0{part}\n"
        )
        rows.append(f"{name},{label.replace('/', ',')}")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    (root / "train.txt").write_text("\n".join(f"{n:06d}" for n in range(6)) + "\n")
    np.save(root / "Mean.npy", np.zeros(263, np.float32))
    np.save(root / "Std.npy", np.ones(263, np.float32))
    return root
