"""What every motion format keeps to, and a format that another package brings in one file."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.errors import UserError
from motionrft.files.conversion import Conversion, convert_files, target_name
from motionrft.files.formats.base import OpenedFile, WritingOptions
from motionrft.files.formats.table import format_named, format_of, motion_formats
from motionrft.files.motions import motion_files, read_motions
from motionrft.files.planning import Job
from motionrft.files.recording import Motion
from motionrft.files.words import target_words
from motionrft.registry import FORMATS
from motionrft.representations.convert import convert
from tests.files.skeletons import take

JOINTS = take(60, 20.0).joints.astype(np.float32)
FORMAT_NAMES = list(FORMATS.table)


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_what_a_format_writes_it_recognises_and_reads_again(name: str, tmp_path: Path) -> None:
    form = format_named(name)
    path = tmp_path / f"a{form.suffixes[0]}"
    motion = Motion(JOINTS, "joints", 20.0, Path("a"), name="a")
    if not form.writes:
        with pytest.raises(UserError, match="are read, not written"):
            form.write(path, motion, WritingOptions())
        return
    form.write(path, motion, WritingOptions())
    file = OpenedFile(path)
    if not form.recognises(file):  # written for other programs, not read
        return
    assert format_of(file).name == name
    (again,) = read_motions(path, fps=20.0)
    joints = convert(torch.from_numpy(again.array)[None], again.representation, "joints")[0]
    assert len(joints) == pytest.approx(60, abs=1)
    assert joints[:, 0, 1].mean() == pytest.approx(JOINTS[:, 0, 1].mean(), abs=0.25)


def test_every_suffix_of_arrays_is_left_to_who_knows_what_is_in_the_file() -> None:
    assert motion_formats()[-1].name == "arrays"


TOY = '''
import numpy as np
from motionrft.files.formats.base import MotionFormat
from motionrft.files.recording import Recording

class ToyFormat(MotionFormat):
    """One number a line: how high the pelvis of somebody in a T-pose is."""

    name = "toy"
    suffixes = (".toy",)
    writes = True

    def recognises(self, file):
        return file.head.startswith(b"toy")

    def read(self, file, options):
        heights = np.loadtxt(file.path, skiprows=1)
        pose = np.array(POSE)
        take = lambda start, stop, fps: pose + heights[start:stop, None, None] * [0, 1, 0]
        yield Recording(file.path, "joints", 20.0, len(heights), take)

    def write(self, path, motion, options):
        np.savetxt(path, motion.array[:, 0, 1], header="toy", comments="")

POSE = %s
'''


def test_another_package_brings_a_format_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path / "site")
    about = tmp_path / "site" / "toymotion-1.0.dist-info"
    about.mkdir(parents=True)
    (tmp_path / "site" / "toymotion.py").write_text(TOY % (JOINTS[0] - JOINTS[0, 0]).tolist())
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toymotion\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[motionrft.formats]\ntoy = toymotion:ToyFormat\n")
    sys.path[:] = [*sys.path, f"{tmp_path}/"]
    assert "toy" in target_words()
    np.save(tmp_path / "a.npy", JOINTS)
    (outcome,) = convert_files(
        [Job(tmp_path / "a.npy", tmp_path / "out" / "a")], Conversion(target_name("toy"))
    )
    assert motion_files([tmp_path / "out"]) == [tmp_path / "out" / "a.toy"] == list(outcome.outputs)
    (motion,) = read_motions(tmp_path / "out" / "a.toy")
    assert np.abs(motion.array[:, 0, 1] - JOINTS[:, 0, 1]).max() < 1e-5
    with pytest.raises(UserError, match="toy"):
        target_name("toi")
