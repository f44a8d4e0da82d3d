"""TMR and MotionCritic as folders of ours: what is written judges as the checkpoint did, or nothing is written."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.data.captions import Caption
from motionrft.errors import UserError
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.loading import load_reward
from motionrft.official.rewards import Beside, convert_reward
from motionrft.registry import TEXT_ENCODERS
from motionrft.reward.base import Reward
from motionrft.reward.folder import load_motioncritic, load_tmr
from motionrft_cli import main as program
from tests.reward.conftest import WordVectors
from tests.reward.published import TMR, write_motioncritic, write_tmr, write_tmr_parts

TEXTS = ["a person walks", "a person waves"]
WRITERS = {"tmr": write_tmr, "tmr parts": write_tmr_parts, "motioncritic": write_motioncritic}


@pytest.fixture(autouse=True)
def distilbert(monkeypatch: pytest.MonkeyPatch) -> None:
    """TMR's text encoder without weights."""
    monkeypatch.setitem(TEXT_ENCODERS.added, "distilbert", (lambda path, device: WordVectors(), "a test"))


def judged(reward: Reward, dataset: MotionDataset) -> dict[str, Tensor]:
    motion, lengths = pad([dataset.motion(number) for number in range(2)])
    condition = reward.prepare(TEXTS, motion.flip(0), lengths.flip(0))
    total, terms = reward(motion, lengths, condition)
    return {"total": total, **terms}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_judges_as_its_checkpoint(checkpoints: Path, dataset: MotionDataset, kind: str) -> None:
    path, out = WRITERS[kind](checkpoints), checkpoints / "out"
    weights = {"preference": 2.0} if kind == "motioncritic" else {"semantic": 1.0, "similarity": 0.5}
    expected = judged(load_reward(path, weights), dataset)
    convert_reward(path, out)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file in checkpoints.glob("*.npy"):
        file.unlink()
    found = judged(load_reward(out, weights), dataset)
    assert found.keys() == expected.keys() == {"total", *weights}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert json.loads((out / "config.json").read_text())["family"] == kind.split()[0]
    assert "keep the licence" in (out / "README.md").read_text()


def test_tmr_brings_its_own_statistics(checkpoints: Path, dataset: MotionDataset) -> None:
    """`mean.pt` and `std.pt` of a folder that is named; HumanML3D's lie beside the checkpoint and are not taken."""
    own = checkpoints / "guoh3dfeats"
    own.mkdir()
    torch.save(torch.full((TMR.features,), 0.25), own / "mean.pt")
    torch.save(torch.full((TMR.features,), 2.0), own / "std.pt")
    convert_reward(write_tmr(checkpoints), checkpoints / "out", beside=Beside(statistics=own))
    statistics = load_tmr(checkpoints / "out").normaliser.statistics
    assert torch.equal(statistics.mean, torch.full((TMR.features,), 0.25))
    assert torch.equal(statistics.std, torch.full((TMR.features,), 2.0))


def test_a_tmr_folder_is_an_evaluator_too(checkpoints: Path, dataset: MotionDataset) -> None:
    convert_reward(write_tmr(checkpoints), checkpoints / "out")
    evaluator = load_evaluator(checkpoints / "out")
    embedded = evaluator.embed_motion(*pad([dataset.motion(number) for number in range(2)]))
    assert (
        embedded.shape == evaluator.embed_text([Caption(text, ()) for text in TEXTS]).shape == (2, TMR.latent)
    )
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))


def test_a_folder_of_another_family_is_said_to_be_one(checkpoints: Path) -> None:
    convert_reward(write_motioncritic(checkpoints), checkpoints / "out")
    with pytest.raises(UserError, match="holds a motioncritic model, not a tmr reward"):
        load_tmr(checkpoints / "out")
    assert load_motioncritic(checkpoints / "out").terms == ("preference",)


@pytest.mark.parametrize(("write", "term"), [(write_tmr, "semantic"), (write_motioncritic, "preference")])
def test_the_program_scores_alike_with_folder_and_file(
    checkpoints: Path,
    data_folder: Path,
    capfd: pytest.CaptureFixture[str],
    write: Callable[[Path], Path],
    term: str,
) -> None:
    path, out = write(checkpoints), str(checkpoints / "out")
    assert program.run(["convert", str(path), "--to", "motionrft", "--out", out]) == 0
    assert f"score motions/ --reward {out}" in capfd.readouterr().err
    lines = []
    for reward in (str(path), out):
        motions = str(data_folder / "new_joint_vecs")
        words = ["--text", "a person walks", "--terms", term, "--json"]
        assert program.run(["score", motions, "--reward", reward, *words]) == 0
        lines.append(capfd.readouterr().out)
    assert lines[0] == lines[1] and lines[0].count("\n") == 8
    assert isinstance(json.loads(lines[0].splitlines()[0])["scores"][term], float)


class Payload:
    """A pickle that would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.target), "w"))


def truncated(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-200])
    return "truncated"


def web_page(path: Path) -> str:
    path.write_text("<!DOCTYPE html><html>")
    return "a web page"


def malicious(path: Path) -> str:
    path.write_bytes(pickle.dumps({"state_dict": Payload(path.with_name("ran"))}))
    return "Nothing was run"


def incomplete(path: Path) -> str:
    content = torch.load(path, weights_only=True)
    state = next(value for value in content.values() if isinstance(value, dict))
    del state[next(name for name in state if name.endswith(("linear2.bias", "fc2.bias")))]
    torch.save(content, path)
    return "is missing"


def misshapen(path: Path) -> str:
    content = torch.load(path, weights_only=True)
    for state in content.values():
        for name in state if isinstance(state, dict) else ():
            state[name] = torch.ones(3)
    torch.save(content, path)
    return "other shapes"


def of_another_width(path: Path) -> str:
    for name in ("Mean", "Std"):
        np.save(path.with_name(f"{name}.npy"), np.ones(251, np.float32))
    return "statistics of 251 features"


FAULTS = [truncated, web_page, malicious, incomplete, misshapen]


@pytest.mark.parametrize("command", ["convert", "score"])
@pytest.mark.parametrize(
    ("write", "spoil"),
    [
        *((write, spoil) for write in (write_tmr, write_motioncritic) for spoil in FAULTS),
        (write_tmr, of_another_width),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_nothing_is_written(
    checkpoints: Path,
    data_folder: Path,
    capfd: pytest.CaptureFixture[str],
    write: Callable[[Path], Path],
    spoil: Callable[[Path], str],
    command: str,
) -> None:
    path = write(checkpoints)
    said, before = spoil(path), sorted(checkpoints.iterdir())
    words = {
        "convert": ["convert", str(path), "--to", "motionrft", "--out", str(checkpoints / "out")],
        "score": ["score", str(data_folder / "new_joint_vecs"), "--reward", str(path)],
    }
    assert program.run(words[command]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert sorted(checkpoints.iterdir()) == before


def test_a_missing_part_of_tmr_is_named(checkpoints: Path) -> None:
    path = write_tmr_parts(checkpoints)
    (path / "text_encoder.pt").unlink()
    with pytest.raises(UserError, match=r"text_encoder\.pt: no such file"):
        convert_reward(path, checkpoints / "out")


def test_a_motion_too_long_for_the_critic_is_skipped(
    checkpoints: Path, data_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, motions = write_motioncritic(checkpoints), checkpoints / "motions"
    motions.mkdir()
    clip = np.load(data_folder / "new_joint_vecs" / "000007.npy")
    np.save(motions / "short.npy", clip)
    np.save(motions / "long.npy", np.concatenate((clip, clip)))
    words = ["--reward", str(path), "--terms", "preference", "--json"]
    assert program.run(["score", str(motions), *words]) == 3
    out, err = capfd.readouterr()
    assert [Path(json.loads(line)["file"]).name for line in out.splitlines()] == ["short.npy"]
    assert "long.npy" in err and "reads at most 60" in err
