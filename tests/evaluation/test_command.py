"""`motionrft eval` from the command line: documents, files, mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest

from motionrft import builtin
from motionrft.errors import UserError
from motionrft.evaluation import evaluation_session
from motionrft.evaluation.evaluators.mini import mini_config
from motionrft.generators.folder import save_generator
from motionrft.registry import TEXT_ENCODERS
from motionrft.training.weights import save_weights
from motionrft_cli.main import run
from tests.evaluation.toys import toy_evaluator
from tests.generators.families import WordEncoder, tiny


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("models")
    evaluator = toy_evaluator()
    tensors = evaluator.network.state_dict() | {"mean": evaluator.mean, "std": evaluator.std}
    save_weights(root / "evaluator", tensors, mini_config(evaluator.network, WordEncoder(), 20.0))
    for name, seed in (("first", 0), ("second", 1)):
        generator = tiny("built-in", seed)
        generator.std.fill_(0.02)
        generator.text_encoder_name = generator.config.text
        save_generator(generator, root / name)
    return root


@pytest.fixture(autouse=True)
def words(monkeypatch, tmp_path):
    for name in ("words", "sentence-t5-large", "minilm"):
        monkeypatch.setitem(TEXT_ENCODERS.added, name, (lambda path, device: WordEncoder(), "a test"))
    monkeypatch.setenv("MOTIONRFT_CACHE", str(tmp_path / "cache"))


def _eval(models, folder, *more):
    common = ["--data", str(folder), "--evaluator", str(models / "evaluator"), "--repeats", "2", "--quiet"]
    return run(["eval", *more[:1], *common, *more[1:]])


def test_generation_writes_numbers_tables_page_and_study(models, folder, tmp_path, capsys):
    out, first = tmp_path / "out", str(models / "first")
    more = ["--generator", str(models / "second"), "--against", first, "--set", "steps=2", "--study", "3"]
    assert _eval(models, folder, "generation", *more, "--out", str(out), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [r["subject"]["name"] for r in document["results"]] == ["before", "second"]
    written = {path.name for path in out.iterdir()}
    assert written >= {"result.json", "before.json", "table.md", "table.tex", "report.html", "preset.yaml"}
    assert written >= {"study.html", "study.key.json"}
    assert (
        run(["eval", "generation", "--compare", str(out), str(out / "before.json"), "--latex", "--quiet"])
        == 0
    )
    assert "\\toprule" in capsys.readouterr().out


def test_the_same_call_prints_the_same_document(models, folder, capsys):
    texts = []
    for _ in range(2):
        assert (
            _eval(
                models,
                folder,
                "generation",
                "--generator",
                str(models / "first"),
                "--set",
                "steps=2",
                "--json",
            )
            == 0
        )
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_retrieval_and_physics(models, folder, tmp_path, capsys):
    assert _eval(models, folder, "retrieval", "--json") == 0
    assert "32/t2m/R01" in json.loads(capsys.readouterr().out)["metrics"]
    (tmp_path / "broken.npy").write_text("<html>")
    np.save(tmp_path / "fine.npy", np.zeros((30, 263), np.float32))
    assert _eval(models, folder, "physics", "--motions", str(tmp_path), "--json") == 3
    assert json.loads(capsys.readouterr().out)["data"]["items"] == 1


def test_retrieval_judges_the_reward_that_is_named_and_not_its_namesake(models, folder, monkeypatch):
    asked = []

    def noted(*arguments):
        asked.append(arguments)
        raise UserError("enough")

    monkeypatch.setattr(evaluation_session, "load_evaluator", noted)
    more = ["--reward", "builtin", "--set", "representation=joints"]
    assert _eval(models, folder, "retrieval", *more) == 2
    ((place, _, representation),) = asked
    assert place == builtin.path("reward") and representation == "joints"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["generation", "--generator", "nowhere"], "nowhere"),
        (["generation", "--motions", "ten"], "10 motions are too few"),
        (["generation", "--generator", "a", "--motions", "ten"], "one of them"),
        (["generation", "--evaluator", "ten"], "no evaluator there"),
        (["generation", "--compare"], "at least two results"),
        (["generation", "stray.json"], "unexpected argument"),
        (["generation", "--study", "3"], "--against"),
        (["generation", "--json", "--latex"], "choose one"),
        (["physics"], "--motions"),
        (["generation", "--data", "captions", "--generator", "FIRST"], "no motions there"),
        (["preference", "--reward", "ten"], "no reward there"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(models, folder, tmp_path, monkeypatch, capsys, more, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ten").mkdir()
    for row in range(10):
        np.save(tmp_path / "ten" / f"{row}.npy", np.zeros((30, 263), np.float32))
    (tmp_path / "captions" / "texts").mkdir(parents=True)
    more = [str(models / "first") if word == "FIRST" else word for word in more]
    assert _eval(models, folder, *more) == 2
    error = capsys.readouterr().err
    assert said in error and error.strip().count("\n") == 0 and "Traceback" not in error


def test_a_dry_run_estimates_and_writes_nothing(models, folder, tmp_path, capsys):
    out = tmp_path / "out"
    more = [
        "--generator",
        str(models / "first"),
        "--set",
        "steps=7",
        "--dry-run",
        "--out",
        str(out),
        "--json",
    ]
    assert _eval(models, folder, "generation", *more) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["items"] == 40 and cost["repetitions"] == 2 and not out.exists()
    assert cost["seconds"] == pytest.approx(cost["seconds_per_step"] * 2 * 2 * 7)


def test_an_evaluator_is_trained_by_its_preset_and_judges_then(models, folder, tmp_path, capsys):
    out = tmp_path / "judge"
    small = ["--set", "evaluator.updates=2", "--set", "evaluator.batch=6", "--quiet", "--json"]
    call = ["train-reward", "--preset", "evaluator-mini", "--data", str(folder), "--out", str(out), *small]
    assert run(call) == 0
    assert "label_r1" in json.loads(capsys.readouterr().out)
    assert run([*call, "--resume"]) == 0
    assert _eval(models, folder, "retrieval", "--evaluator", str(out)) == 0
