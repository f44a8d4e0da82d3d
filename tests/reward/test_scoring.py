"""`motionrft score` through the executable: table, JSON lines, bad files, limits."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.representations.convert import convert
from motionrft.reward.folder import save_reward
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft_cli import main as program
from tests.abroad.layouts import KIT_ML, features_of
from tests.reward.conftest import motions_of


@pytest.fixture
def score(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[dict], str]]:
    """Run `motionrft score … --json`: exit code, JSON lines, stderr."""

    def call(*arguments: object) -> tuple[int, list[dict], str]:
        capfd.readouterr()
        code = program.run(["score", *map(str, arguments), "--json"])
        out, err = capfd.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three motions in three representations, one with a text beside it."""
    motions = tmp_path / "motions"
    motions.mkdir()
    for number, name in enumerate(("kinematic", "joints", "rotation")):
        np.save(motions / f"{number}.npy", motions_of(number)[name].numpy())
    (motions / "0.txt").write_text("a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n")
    return motions


@pytest.fixture
def reward_folder(reward: MotionReward, tmp_path: Path) -> Path:
    held_out = {"clips": 12, "split": "val", "quantiles": {"jitter": [0.0, 1e9]}}
    reward.about = {"stages": ["semantic"], "fps": 20.0, "held_out": held_out}
    save_reward(tmp_path / "reward", reward)
    return tmp_path / "reward"


def test_one_line_a_motion_in_order(score: Callable, folder: Path, reward_folder: Path) -> None:
    code, lines, _ = score(folder, "--reward", reward_folder)
    assert code == 0
    assert [line["representation"] for line in lines] == ["kinematic", "joints", "rotation"]
    assert lines[0]["text"] == "a person walks" and lines[1]["text"] is None
    assert isinstance(lines[0]["scores"]["semantic"], float) and lines[1]["scores"]["semantic"] is None
    assert lines[1]["percentiles"] == {"jitter": 50.0} and lines[1]["held_out_clips"] == 12
    assert lines[0]["frames"] == 24


def test_one_text_for_all_and_one_a_motion(
    score: Callable, folder: Path, reward_folder: Path, tmp_path: Path
) -> None:
    _, lines, _ = score(folder, "--reward", reward_folder, "--text", "a person waves")
    assert {line["text"] for line in lines} == {"a person waves"}
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\nthree\n")
    _, lines, _ = score(folder, "--reward", reward_folder, "--text-file", texts)
    assert [line["text"] for line in lines] == ["one", "two", "three"]
    texts.write_text("one\ntwo\n")
    code, _, err = score(folder, "--reward", reward_folder, "--text-file", texts)
    assert code == 2 and "one line a motion" in err


def test_a_contrast_is_given_where_it_is_named_and_the_text_can_be_told_otherwise(
    score: Callable, folder: Path, reward_folder: Path
) -> None:
    asked = ("--reward", reward_folder, "--terms", "contrast,semantic")
    (folder / "1.txt").write_text("a person bows, then walks\n")
    _, lines, _ = score(folder, *asked)
    assert [list(line["scores"]) for line in lines] == [["contrast", "semantic"]] * 3
    values = [line["scores"]["contrast"] for line in lines]
    assert values[0] is None and isinstance(values[1], float) and values[2] is None
    _, lines, _ = score(folder / "1.npy", "--reward", reward_folder)
    assert "contrast" not in lines[0]["scores"]


def test_a_bad_file_takes_its_own_text_with_it(
    score: Callable, folder: Path, reward_folder: Path, tmp_path: Path
) -> None:
    (folder / "1.npy").write_text("<!doctype html><html>not found</html>")
    texts = tmp_path / "texts.txt"
    texts.write_text("one\ntwo\nthree\nfour\n")
    code, lines, err = score(folder, "--reward", reward_folder, "--text-file", texts)
    assert code == 3 and [(line["name"], line["text"]) for line in lines] == [("0", "one"), ("2", "three")]
    assert "4 texts, but 3 motions" in err


def test_kits_features_have_physics_at_any_rate(score: Callable, tmp_path: Path) -> None:
    features = features_of(KIT_ML, 0)
    joints = convert(features[None], "kinematic", "joints")[0]
    np.save(tmp_path / "features.npy", features.numpy())
    np.save(tmp_path / "joints.npy", joints.numpy())
    code, (one, other), _ = score(tmp_path, "--terms", "physics")
    assert code == 0 and one["scores"] == pytest.approx(other["scores"], rel=1e-3, abs=1e-6)


def test_each_part_of_a_file_has_a_name_of_its_own(score: Callable, folder: Path) -> None:
    _, lines, err = score(
        folder / "0.npy", "--terms", "physics", "--set", "split_long=1", "--fail-over", "jitter=-1"
    )
    assert [line["name"] for line in lines][:2] == ["0_000", "0_001"] and "0.npy: 0_001: jitter" in err


def test_the_same_walk_scores_alike_alone_and_in_company(
    score: Callable, folder: Path, reward_folder: Path
) -> None:
    arguments = ("--reward", reward_folder, "--text", "walk")
    together = score(folder, *arguments)[1][1]["scores"]
    alone = score(folder / "1.npy", *arguments)[1][0]["scores"]
    for name, value in together.items():
        assert alone[name] == pytest.approx(value, abs=1e-5)


def test_bad_files_are_skipped_and_told(score: Callable, folder: Path) -> None:
    broken = motions_of(0)["kinematic"].numpy().copy()
    broken[5, 7] = np.nan
    np.save(folder / "1a.npy", broken)
    (folder / "1b.npy").write_text("<!doctype html><html>not found</html>")
    code, lines, err = score(folder, "--terms", "physics")
    assert code == 3 and len(lines) == 3
    assert "1a.npy" in err and "frame 5" in err and "1b.npy" in err and "web page" in err


def test_limits_turn_it_into_a_linter(score: Callable, folder: Path) -> None:
    lifted = motions_of(0)["joints"].numpy() + np.array([0, 0.5, 0], np.float32)
    np.save(folder / "3.npy", lifted)
    code, lines, err = score(folder, "--terms", "physics", "--fail-over", "floating=0.1")
    assert code == 1 and len(lines) == 4
    assert "3.npy: floating" in err and "over 0.1" in err and "0.npy: floating" not in err
    assert score(folder / "0.npy", "--terms", "physics", "--fail-over", "floating=0.1")[0] == 0


def test_wrong_words_are_explained(score: Callable, folder: Path, reward_folder: Path) -> None:
    for arguments, message in (
        (("--terms", "taste", "--reward", reward_folder), "there are: semantic, contrast, physics"),
        (("--terms", "physics", "--fail-under", "semantic=0.5"), "semantic, which is not scored"),
        (("--terms", "physics", "--fail-over", "jitter"), "TERM=NUMBER"),
        (("--reward", folder / "nothing"), "no such reward"),
    ):
        code, lines, err = score(folder, *arguments)
        assert (code, lines) == (2, []) and message.lower() in err.lower()


def test_frames_gives_curves(score: Callable, folder: Path) -> None:
    _, lines, _ = score(folder / "0.npy", "--terms", "jitter", "--frames")
    assert len(lines[0]["curves"]["jitter"]) == lines[0]["frames"]


def test_people_get_a_table(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert program.run(["score", str(folder), "--terms", "physics"]) == 0
    out, err = capfd.readouterr()
    assert out == "" and "foot_skating" in err and "0.npy" in err


def test_normalised_features_are_doubted(score: Callable, tmp_path: Path) -> None:
    features = motions_of(1)["kinematic"].numpy()
    np.save(tmp_path / "normalised.npy", (features - features.mean(0)) / (features.std(0) + 1.0))
    code, lines, err = score(tmp_path / "normalised.npy", "--terms", "physics")
    assert code == 0 and len(lines) == 1
    assert "is it normalised" in err
