"""Converting files: where results go, what is kept, what is reported."""

import math
from pathlib import Path

import numpy as np
import pytest

from motionrft.errors import UserError
from motionrft.files import Motion, read_motions, write_motion
from motionrft.files.conversion import (
    Conversion,
    convert_file,
    convert_files,
    convert_motion,
    existing_outputs,
    target_name,
    write_target,
)
from motionrft.files.parallel import mapped
from motionrft.files.planning import Job, plan_jobs
from motionrft.files.reading import ReadingOptions
from tests.representations.people import people

JOINTS = people(30, 1)[0].float().numpy()


def person(path: Path, fps: float = 20.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_motion(path, Motion(JOINTS, "joints", fps, path))
    return path


def stems(inputs: list[Path], out: Path) -> list[str]:
    return [job.stem.relative_to(out).as_posix() for job in plan_jobs(inputs, out, ".npy", ReadingOptions())]


def test_sub_folders_of_a_folder_are_kept(tmp_path: Path) -> None:
    for name in ("a.npy", "x/a.npy", "x/y/b.npy"):
        person(tmp_path / "in" / name)
    assert stems([tmp_path / "in"], tmp_path / "out") == ["a", "x/a", "x/y/b"]


def test_a_list_of_files_keeps_what_they_do_not_have_in_common(tmp_path: Path) -> None:
    files = [tmp_path / "in" / name for name in ("x/a.npy", "y/a.npy")]
    assert stems(files, tmp_path / "out") == ["x/a", "y/a"]
    assert stems(files[:1], tmp_path / "out") == ["a"]


def test_names_that_would_meet_are_kept_apart(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.npy", "a.bvh", "a.npy")]
    assert stems(files, tmp_path / "out") == ["a_npy", "a_bvh", "a_npy_2"]


def test_a_single_file_may_name_its_output(tmp_path: Path) -> None:
    (job,) = plan_jobs([tmp_path / "a.npy"], tmp_path / "walk.bvh", ".bvh", ReadingOptions())
    assert convert_file(Job(person(tmp_path / "a.npy"), job.stem), Conversion("bvh")).outputs == (
        tmp_path / "walk.bvh",
    )


@pytest.mark.parametrize(
    "target", ["kinematic", "joints", "rotation", "hymotion", "flowmdm", "bvh", "glb", "png", "html"]
)
def test_every_target_is_written_and_found_again(tmp_path: Path, target: str) -> None:
    conversion = Conversion(target)
    job = Job(person(tmp_path / "a.npy"), tmp_path / "out" / "a")
    outcome = convert_file(job, conversion)
    assert not outcome.faults and len(outcome.outputs) == 1
    assert existing_outputs([job], conversion) == list(outcome.outputs)
    if target in ("kinematic", "joints", "rotation", "hymotion"):
        assert read_motions(outcome.outputs[0])[0].representation == target


def test_batches_become_numbered_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.stack([JOINTS, JOINTS]))
    outcome = convert_file(Job(tmp_path / "a.npy", tmp_path / "out" / "a"), Conversion("kinematic"))
    assert [path.name for path in outcome.outputs] == ["a_000.npy", "a_001.npy"]


def test_rates_are_those_a_reader_will_assume(tmp_path: Path) -> None:
    """An array does not say its rate, so 30 fps become 20, and 30 again for hymotion; BVH keeps 30."""
    job = Job(person(tmp_path / "a.bvh", fps=30.0), tmp_path / "out" / "a")
    lengths = {}
    for target in ("joints", "hymotion", "bvh"):
        (path,) = convert_file(job, Conversion(target), "replace").outputs
        (motion,) = read_motions(path)
        lengths[target] = (len(motion), motion.fps)
    assert lengths == {"joints": (20, 20.0), "hymotion": (30, 30.0), "bvh": (30, 30.0)}
    (path,) = convert_file(job, Conversion("joints", fps=10.0, suffix=".npz")).outputs
    assert read_motions(path)[0].fps == 10


def test_a_rate_that_readers_will_not_guess_is_known_to_be_unsaid() -> None:
    assert Conversion("joints", fps=30.0).unsaid_fps == 30
    assert Conversion("joints", fps=20.0).unsaid_fps is Conversion("hymotion", fps=30.0).unsaid_fps is None
    assert Conversion("joints", fps=30.0, suffix=".npz").unsaid_fps is None


def test_what_nobody_could_read_back_is_not_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", JOINTS[:2])
    outcome = convert_file(Job(tmp_path / "a.npy", tmp_path / "out" / "a"), Conversion("kinematic"))
    assert "as kinematic at 20 fps: has 1 frame" in outcome.faults[0].message and not outcome.outputs


def test_mirroring_exchanges_the_sides(tmp_path: Path) -> None:
    job = Job(person(tmp_path / "a.npy"), tmp_path / "out" / "a")
    (path,) = convert_file(job, Conversion("joints", mirror=True)).outputs
    np.testing.assert_allclose(read_motions(path)[0].array[:, 20, 0], -JOINTS[:, 21, 0], atol=1e-6)


def test_faults_are_in_the_outcome_with_the_files_name(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"<html>")
    np.save(tmp_path / "kit.npy", np.ones((9, 251), np.float32))
    for name, target in (("a", "joints"), ("kit", "rotation")):
        outcome = convert_file(Job(tmp_path / f"{name}.npy", tmp_path / "out" / name), Conversion(target))
        assert not outcome.outputs
        assert str(tmp_path / f"{name}.npy") in outcome.faults[0].message
    assert not (tmp_path / "out").exists()


def test_keep_leaves_out_what_is_there(tmp_path: Path) -> None:
    job = Job(person(tmp_path / "a.npy"), tmp_path / "out" / "a")
    (first,) = convert_files([job], Conversion("joints"))
    (second,) = convert_files([job], Conversion("joints"), existing="keep")
    assert first.outputs and second.skipped and not second.outputs


def test_targets_have_aliases_and_a_list() -> None:
    assert target_name("22x3") == "joints" and target_name("BVH") == "bvh"
    with pytest.raises(UserError, match="Legal: kinematic"):
        target_name("fbx")


def test_processes_give_the_same_results_in_order() -> None:
    assert list(mapped(math.sqrt, range(50), 2)) == [math.sqrt(n) for n in range(50)]


def test_what_a_mirrored_motion_is_said_to_show_is_mirrored(tmp_path: Path) -> None:
    motion = Motion(people(30)[0].float().numpy(), "joints", 20.0, tmp_path / "a.npy", text="turns left")
    mirrored = Conversion("joints", mirror=True)
    assert convert_motion(motion, mirrored).text == "turns right"
    assert convert_motion(motion, Conversion("joints")).text == "turns left"
    write_target(tmp_path / "b.npy", convert_motion(motion, mirrored), mirrored)
    assert (tmp_path / "b.txt").read_text() == "turns right\n"
