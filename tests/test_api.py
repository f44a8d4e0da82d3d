"""The library as a notebook meets it: quick to import, complete, documented, and in step with the commands."""

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import motionrft
from motionrft.errors import UserError
from motionrft.files import Motion
from motionrft_cli.main import run
from tests.representations.people import people

README = Path(__file__).parents[1] / "README.md"
QUICK = {"batch": "2", "watch__every": "0", "evaluation__prompts": "0"}


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, motionrft; assert not {'torch', 'numpy', 'pydantic', 'typer', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", motionrft.__all__)
def test_every_name_is_there_typed_and_documented(name: str) -> None:
    function = getattr(motionrft, name)
    assert name in dir(motionrft) and inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(each.annotation is not each.empty for each in signature.parameters.values())
    assert (Path(motionrft.__file__).parent / "py.typed").is_file()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'teach'"):
        motionrft.teach  # noqa: B018


def test_the_readme_s_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"```python\n(import motionrft\n.*?)```", README.read_text(), re.S)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    for name, value in QUICK.items():
        monkeypatch.setenv(f"MOTIONRFT_SET_{name}", value)
    names: dict = {}
    exec(found[1], names)
    scores = motionrft.score([names["before"], names["after"]], terms=["semantic", "jitter"])
    assert all(set(each) == {"semantic", "jitter"} for each in scores) and scores[0] != scores[1]
    assert motionrft.load_motion("wave.bvh").representation == "joints"
    assert (tmp_path / "runs/first/report.html").is_file()
    for name in QUICK:
        monkeypatch.delenv(f"MOTIONRFT_SET_{name}")
    same = _by_the_command(tmp_path)
    np.testing.assert_allclose(names["after"].array, same.array, atol=1e-5)


def _by_the_command(folder: Path) -> Motion:
    """The same motion by `motionrft sample`."""
    arguments = [
        "a person waves the right hand",
        "--generator",
        str(folder / "runs/first/generator"),
        "--seed",
        "1",
    ]
    out = str(folder / "samples")
    assert run(["sample", *arguments, "--format", "npy", "--out", out, "--device", "cpu"]) == 0
    return motionrft.load_motion(next((folder / "samples").glob("*.npy")))


def test_mistakes_are_user_errors_that_name_the_setting(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="updates = -1"):
        motionrft.finetune(tmp_path, updates=-1)
    with pytest.raises(UserError, match=r"repeat: unknown field.*repeats"):
        motionrft.evaluate(repeat=5)
    motion = Motion(torch.zeros(10, 22, 3).numpy(), "joints", 20.0, Path("still"))
    with pytest.raises(UserError, match="motions are written as"):
        motionrft.save_motion(motion, tmp_path / "x.fbx")
    with pytest.raises(UserError, match=r"none\.npy"):
        motionrft.load_motion(tmp_path / "none.npy")


def test_scores_take_files_and_say_what_is_no_motion(tmp_path: Path) -> None:
    joints = people(24, 0)[0].float().numpy()
    np.save(tmp_path / "a.npy", joints)
    np.save(tmp_path / "two.npy", np.stack([joints, joints]))
    found = motionrft.score([tmp_path / "a.npy", str(tmp_path / "two.npy")], None, texts="walk")
    assert len(found) == 3 and found[0] == found[2]
    assert motionrft.convert(tmp_path / "a.npy", "kinematic").array.shape == (23, 263)
    motion = motionrft.load_motion(tmp_path / "a.npy")
    for wrong, said in (
        (lambda: motionrft.score([joints], None), "ndarray is no motion"),
        (lambda: motionrft.convert(torch.zeros(9, 263), "joints"), "Tensor is no motion"),
        (lambda: motionrft.score([motion, motion], None, texts=["one"]), "1 texts for 2 motions"),
        (lambda: motionrft.score(replace(motion, array=joints * np.nan), None), "NaN in frame 0"),
    ):
        with pytest.raises(UserError, match=said):
            wrong()
