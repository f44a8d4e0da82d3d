"""Blender and three.js read what we write. Needs `bpy` (MOTIONRFT_BPY: a Python that has it, if not this one) or the npm
package `three` (MOTIONRFT_THREE: its folder, such as node_modules/three)."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.files.bvh_writer import write_bvh
from motionrft.files.glb_writer import write_glb
from motionrft.files.rigid_fit import fit_rigid
from tests.representations.people import people

HERE = Path(__file__).parent / "outside"
FPS = 20
Program = Callable[[Path, list[Path]], dict[str, np.ndarray]]


def blender(out: Path, files: list[Path]) -> dict[str, np.ndarray]:
    python = os.environ.get("MOTIONRFT_BPY") or (sys.executable if importlib.util.find_spec("bpy") else None)
    if python is None:
        pytest.skip("no bpy: pip install bpy into a Python 3.11 and name it with MOTIONRFT_BPY")
    _run(python, HERE / "blender.py", out, FPS, *files)
    return {file.name: np.load(out / f"{file.name}.npy") for file in files}


def three(out: Path, files: list[Path]) -> dict[str, np.ndarray]:
    package = os.environ.get("MOTIONRFT_THREE")
    if package is None or shutil.which("node") is None:
        pytest.skip("no three.js: npm install three, and name node_modules/three with MOTIONRFT_THREE")
    _run("node", HERE / "three.mjs", package, out, *files)
    return {file.name: np.fromfile(out / f"{file.name}.f64").reshape(-1, 22, 3) for file in files}


def _run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.executable
@pytest.mark.parametrize("program", [blender, three], ids=lambda program: program.__name__)
def test_joints_are_where_we_wrote_them(program: Program, tmp_path: Path) -> None:
    """A rigid motion within a millimetre; one whose bones stretch exactly as far off as its residual says."""
    rigid = people(12, 7)[0]
    noise = torch.randn(rigid.shape, generator=torch.Generator().manual_seed(0)).double()
    motions = {"rigid": rigid, "stretching": rigid + 0.01 * noise}
    files = []
    for name, joints in motions.items():
        write_bvh(tmp_path / f"{name}.bvh", joints, FPS)
        write_glb(tmp_path / f"{name}.glb", joints, FPS, name)
        files += [tmp_path / f"{name}.bvh", tmp_path / f"{name}.glb"]
    for name, found in program(tmp_path, files).items():
        joints = motions[name.split(".")[0]].numpy()
        residual = fit_rigid(torch.from_numpy(joints)).worst_mm
        off = 1000 * np.linalg.norm(found - joints, axis=-1).max()
        assert found.shape == joints.shape and off < residual + 1, (name, off, residual)
