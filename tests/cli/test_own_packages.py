"""The README's own reward, method, format and generator as an installed package: listed, completed, checked, run.

Nothing of the repository knows them. One process with the package on its path asks for everything.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GROUPS = {
    "methods": "last-step = my_method:METHOD",
    "rewards": "low_hands = my_rewards:low_hands\nas_long = my_rewards:as_long_as_told",
    "formats": "joint-text = my_format:JointText",
    "generators": "mine = my_package:Mine",
}
SMALL = "--steps 3 --updates 2 --batch 2 --set watch.every=0 --set evaluation.prompts=0 --generator mine --device cpu"

SCRIPT = f"""
import contextlib, io, json, shlex
from motionrft_cli.main import run
from motionrft_cli.completions import describe

def call(line):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(shlex.split(line))
    return {{"code": code, "out": out.getvalue(), "err": err.getvalue()}}

small = {SMALL!r}
answers = {{
    "help": call("finetune --help"),
    "plan": call("finetune --method last-step --steps 3 --show-plan --json"),
    "typo": call("finetune --method last-stp"),
    "field": call("finetune --method last-step --set method.kk=3 --show-preset"),
    "run": call(f"finetune --method last-step --reward low_hands {{small}} --out run --json"),
    "again": call(f"finetune --method last-step --reward low_hands {{small}} --out run --resume --json"),
    "refused": call(f"finetune --method last-step --reward as_long {{small}} --out no"),
    "free": call(f"finetune --method ddpo --set eta=1 --reward as_long {{small}} --out free --json"),
    "place": call(f"finetune --method last-step --reward my_rewards:low_hands {{small}} --out place --json"),
    "sample": call("sample walk --generator run/generator --format joint-text,npy --steps 3 --out samples"),
    "convert": call("convert samples/0-walk.jtx --to kinematic --out features"),
    "back": call("convert features/0-walk.npy --to joint-text --out back"),
    "score": call("score samples/0-walk.jtx --reward low_hands --terms low_hands --json"),
}}
flags = {{name: [word.word for word in flag.words] for flag in describe("finetune").flags for name in flag.names}}
answers["completed"] = {{"method": flags["--method"], "reward": flags["--reward"]}}
print(json.dumps(answers))
"""


def blocks() -> dict[str, str]:
    """The README's Python files by the name in their first line; the generator has no name and is `my_package`."""
    found = {}
    for block in re.findall(r"```python\n(.*?)```", README, re.S):
        name = re.match(r"# (\w+)\.py\n", block)
        if name is not None:
            found[name[1]] = block
        elif "class Mine(Generator)" in block:
            found["my_package"] = block
    return found


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program says and does with the package installed."""
    site, here = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("here")
    for name, code in blocks().items():
        (site / f"{name}.py").write_text(code)
    about = site / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    entries = "\n".join(f"[motionrft.{group}]\n{lines}\n" for group, lines in GROUPS.items())
    (about / "entry_points.txt").write_text(entries)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=here,
        env=clean_environment(PYTHONPATH=f"{ROOT}:{site}"),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "here": here}


def test_every_example_is_at_most_thirty_lines() -> None:
    lengths = {
        name: sum(
            bool(line.strip()) and not line.startswith(("import", "from", "#")) for line in code.splitlines()
        )
        for name, code in blocks().items()
    }
    assert set(lengths) == {"my_rewards", "my_method", "my_format", "my_package"}
    assert max(lengths.values()) <= 30


def test_they_are_listed_and_completed(answers: dict[str, Any]) -> None:
    assert "last-step" in answers["help"]["out"]
    assert "last-step" in answers["completed"]["method"]
    assert {"builtin", "low_hands", "as_long"} <= set(answers["completed"]["reward"])


def test_a_method_s_settings_are_checked_and_its_name_is_offered(answers: dict[str, Any]) -> None:
    assert answers["typo"]["code"] == 2 and "Did you mean last-step?" in answers["typo"]["err"]
    assert answers["field"]["code"] == 2 and "kk: unknown field" in answers["field"]["err"]
    plan = json.loads(answers["plan"]["out"].splitlines()[0])
    assert plan["updates"] == 1 and plan["plan"][-1]["reward"] == "x0"


@pytest.mark.parametrize("name", ["run", "free", "place"])
def test_they_tune_together(answers: dict[str, Any], name: str) -> None:
    assert answers[name]["code"] == 0, answers[name]["err"]
    assert json.loads(answers[name]["out"].splitlines()[-1])["updates"] == 2
    logged = (answers["here"] / name / "metrics.jsonl").read_text()
    assert f'"reward/{"as_long" if name == "free" else "low_hands"}"' in logged


def test_a_run_with_them_is_resumed(answers: dict[str, Any]) -> None:
    assert answers["again"]["code"] == 0, answers["again"]["err"]


def test_a_reward_without_gradient_is_refused_with_the_methods_that_need_none(
    answers: dict[str, Any],
) -> None:
    assert answers["refused"]["code"] == 2
    lines = answers["refused"]["err"].splitlines()
    assert "last-step follows the reward's gradient" in lines[-1] and "ddpo, grpo, sopo, dpo" in lines[-1]
    assert not (answers["here"] / "no").exists()


def test_a_format_is_written_read_and_scored(answers: dict[str, Any]) -> None:
    for name in ("sample", "convert", "back", "score"):
        assert answers[name]["code"] == 0, (name, answers[name]["err"])
    first, last = (answers["here"] / place / "0-walk.jtx" for place in ("samples", "back"))
    assert len(first.read_text().split("\n")[0].split()) == 66 and last.is_file()
    assert set(json.loads(answers["score"]["out"])["scores"]) == {"low_hands"}
