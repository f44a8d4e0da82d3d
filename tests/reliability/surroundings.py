"""Rows 16, 25 and 27: where a command runs, and what it is configured with."""

import ctypes
import json
import os
from pathlib import Path

import numpy as np

from tests.cli.test_faults import WRITING
from tests.fuzz import seeds
from tests.reliability.arrays import joints
from tests.reliability.scene import Scene, row

_DROP, _OVERRIDE = 24, 1
"""prctl's PR_CAPBSET_DROP and CAP_DAC_OVERRIDE: with the latter root writes anywhere."""


def _unprivileged() -> None:
    ctypes.CDLL(None).prctl(_DROP, _OVERRIDE, 0, 0, 0)


@row(16)
def no_place_to_write(scene: Scene) -> None:
    """Output folder read-only, or a file."""
    (scene.place / "motions").mkdir()
    np.save(scene.place / "motions" / "a.npy", joints())
    (scene.place / "data").mkdir()
    seeds.data_set(scene.place / "data")
    (scene.place / "file").write_text("mine")
    (scene.place / "locked").mkdir()
    os.chmod(scene.place / "locked", 0o555)
    here = {"motion": "motions/a.npy", "motions": "motions", "data": "data"}
    for words in WRITING.values():
        command = [word.format(**here) for word in words]
        scene.refused(scene.run(*command, "--out", "file"), "file", "is a file")
        locked = scene.run(*command, "--out", "locked/out", prepare=_unprivileged)
        scene.refused(locked, "permission")
    scene.want((scene.place / "file").read_text() == "mine", "the file was changed")
    scene.want(not any((scene.place / "locked").iterdir()), "something was written")


@row(25)
def streams_and_terminals(scene: Scene) -> None:
    """Stdout closed early; no TTY; NO_COLOR; TERM=dumb; ASCII locale; 40 columns."""
    (scene.place / "in").mkdir()
    for number in range(30):
        np.save(scene.place / "in" / f"Läufer {number}.npy", joints(seed=number % 3))
    score = "motionrft score in --terms physics --json"
    ended = scene.done(scene.shell(f"set -o pipefail; {score} | head -1"))
    scene.want(len(ended.out.splitlines()) == 1, "not one line")
    scene.done(scene.shell(f"{score} >&-"), code=0)
    poor = (
        {"NO_COLOR": "1", "COLUMNS": "40"},
        {"TERM": "dumb"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "40"},
    )
    for environment in poor:
        ended = scene.done(scene.shell(score, **environment))
        scene.want("\x1b" not in ended.err + ended.out, f"escapes: {environment}")
        documents = [json.loads(line) for line in ended.out.splitlines()]
        scene.want(len(documents) == 30, f"{len(documents)} lines of JSON")
        table = scene.done(scene.shell(score.replace("--json", ""), **environment))
        scene.want("\x1b" not in table.err + table.out, f"escapes in the table: {environment}")


@row(27)
def presets(scene: Scene) -> None:
    """Preset: unknown key, wrong type, duplicate key, `!!python/object`, 10 MB alias bomb."""
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    contents = {
        "unknown": ("optimiser: {lerning_rate: 1}\n", ("optimiser.lerning_rate", "unknown")),
        "near": ("optimiser: {lrr: 1}\n", ("optimiser.lrr", "Did you mean", "lr")),
        "type": ("updates: many\n", ("updates", "many")),
        "twice": ("updates: 3\nupdates: 4\n", ("updates", "twice")),
        "object": ("updates: !!python/object/apply:os.mkdir [ran]\n", ("python/object",)),
        "bomb": ("\n".join(bomb) + "\n", ("bomb.yaml",)),
        "large": ("# " + "x" * 10_000_000 + "\n", ("large.yaml", "at most 1 MB")),
        "tab": ("updates:\t3\n\tbatch: 2\n", ("tab.yaml", "line 1, column 9")),
        "list": ("- 1\n- 2\n", ("list.yaml",)),
    }
    for name, (content, said) in contents.items():
        (scene.place / f"{name}.yaml").write_text(content)
        ended = scene.run("finetune", "--show-preset", "--preset", f"{name}.yaml")
        scene.refused(ended, *said)
        scene.want(ended.peak < 1 << 29, f"{name}: {ended.peak >> 20} MiB")
    scene.want(not Path(scene.place / "ran").exists(), "something ran")
