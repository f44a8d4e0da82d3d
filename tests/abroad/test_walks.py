"""From a published folder and published checkpoints to tables: the whole pipeline on HumanML3D's and KIT-ML's layouts.

Sizes are tiny and weights random, so numbers mean nothing; what is asserted is that every station takes what the one
before it made, and that skeleton, width, frame rate, unit and sampling are those of the data and the tuning throughout.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionrft.finetuning.methods.base import usable_methods
from motionrft.registry import TEXT_ENCODERS
from motionrft_cli import main
from tests.abroad.checkpoints import (
    write_evaluator,
    write_generator,
    write_motionreward,
    write_spm,
    write_tmr,
)
from tests.abroad.layouts import HUMANML3D, KIT_ML, Layout, write_dataset
from tests.generators.families import WordEncoder

SMALL_REWARD = (
    *("semantic.updates=2", "semantic.batch=8", "semantic.batches=balanced", "preference.updates=2"),
    *("preference.count=8", "preference.validation=6", "preference.batch=4", "authenticity.updates=2"),
    *("authenticity.count=6", "authenticity.validation=4", "authenticity.batch=4", "authenticity.steps=2"),
    *("text=words", "model.width=16", "model.latent=16", "model.feedforward=16"),
    *("model.text_feedforward=16", "model.projection_hidden=16"),
)
SMALL_RUN = ("steps=3", "watch.every=0", "evaluation.prompts=0", "checkpoint_every=0")
SMALL_TABLE = ("evaluation.prompts=32", "evaluation.seeds=1", "watch.every=0", "checkpoint_every=0")


@dataclass
class Walk:
    """A data set, the checkpoints of its kind, and the program."""

    layout: Layout
    root: Path
    read: Callable[[], Any]

    @property
    def data(self) -> str:
        return str(self.root / "data")

    @property
    def generators(self) -> tuple[str, ...]:
        return ("mld", "mdm", "hymotion") if self.layout is HUMANML3D else ("mld", "mdm")

    def checkpoint(self, name: str) -> str:
        return str(
            next(file for file in (self.root / name).iterdir() if file.suffix in (".ckpt", ".pt", ".pth"))
        )

    @property
    def evaluator(self) -> str:
        return str(self.root / "checkpoints" / ("t2m" if self.layout is HUMANML3D else "kit"))

    def run(self, *arguments: object, sets: tuple[str, ...] = (), code: int = 0) -> tuple[str, str]:
        """What the program wrote to stdout and stderr."""
        self.read()
        options = [word for setting in sets for word in ("--set", setting)]
        found = main.run([*map(str, arguments), *options])
        out, err = self.read()
        assert found == code, f"{arguments[0]} ended with {found}: {err[-1500:]}"
        return out, err


@pytest.fixture(params=[HUMANML3D, KIT_ML], ids=["HumanML3D", "KIT-ML"])
def walk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Walk:
    """The folder and every published container; texts are read by an encoder without weights."""
    for name in [*TEXT_ENCODERS.names(), "words"]:
        monkeypatch.setitem(TEXT_ENCODERS.added, name, (lambda path, device: WordEncoder(), "a test"))
    monkeypatch.setenv("MOTIONRFT_CACHE", str(tmp_path / "cache"))
    layout: Layout = request.param
    made = Walk(layout, tmp_path, capfd.readouterr)
    data = write_dataset(layout, tmp_path / "data")
    for name in made.generators:
        write_generator(name, data, layout, tmp_path / name)
    write_motionreward(data, layout, tmp_path / "motionreward")
    write_spm(data, layout, tmp_path / "spm")
    if layout is HUMANML3D:
        write_tmr(data, tmp_path / "tmr")
    write_evaluator(data, layout, tmp_path / "checkpoints")
    return made


def test_the_whole_way(walk: Walk) -> None:
    out, _ = walk.run("convert", "--check", walk.data, "--json")
    assert json.loads(out)["width"] == walk.layout.skeleton.features
    walk.run("convert", "--dataset", walk.data)  # completes the folder in place
    reward = _rewards(walk)
    run = _tuned(walk)
    _every_method(walk)
    _compared(walk)
    _sampled_and_scored(walk, run, reward)
    _evaluated(walk, run, reward)


def _rewards(walk: Walk) -> str:
    """Three stages on the data and fakes of two generators, then the refinement of the first."""
    fakes = f"authenticity.fakes={walk.checkpoint('mdm')},{walk.checkpoint('mld')}"
    _, said = walk.run(
        *("train-reward", "--data", walk.data, "--preset", "mini", "--stage", "all"),
        *("--out", walk.root / "reward"),
        sets=(*SMALL_REWARD, fakes),
    )
    config = json.loads((walk.root / "reward" / "reward" / "config.json").read_text())
    joints = walk.layout.skeleton.joints
    widths = dict(zip(config["size"]["representations"], config["size"]["widths"], strict=True))
    assert widths["kinematic"] == walk.layout.skeleton.features and widths["joints"] == 3 * joints
    assert config["about"]["fps"] == walk.layout.skeleton.fps
    assert config["about"]["preference_pairs"].startswith("synthetic")
    assert ("rotation" in widths) == (walk.layout is HUMANML3D)
    assert ("has no rotation motions" in said) == (walk.layout is KIT_ML)
    refined = walk.root / "refined"
    walk.run(
        *("refine-spl", "--preset", "mini", "--reward", walk.root / "reward" / "reward", "--data", walk.data),
        *("--out", refined),
        sets=("updates=2", "batch=8"),
    )
    return str(walk.root / "reward" / "reward")


def _tuned(walk: Walk) -> Path:
    """EasyTune on MDM under DDIM, which is not its published sampler, with the data's own judge; then longer."""
    run = walk.root / "tuned"
    arguments = (
        *("finetune", "--method", "easytune", "--generator", walk.checkpoint("mdm"), "--data", walk.data),
        *("--reward", walk.checkpoint("spm"), "--evaluator", walk.evaluator, "--batch", 2, "--out", run),
    )
    sets = (
        "steps=4",
        "method.k=2",
        "sampler=ddim",
        "eta=0.5",
        *SMALL_TABLE,
        "watch.every=300",
        "watch.seeds=2",
    )
    out, said = walk.run(*arguments, "--updates", 2, "--json", sets=sets)
    table = json.loads(out)["tables"]["guidance 2.5"]
    assert {"R@1 raw", "R@2 raw", "R@3 raw", "FID", "MM-Dist"} <= set(table) and "R@1 label" not in table
    assert "R-Precision among 32" in said and "ddim, 4 steps" in said
    sampling = json.loads((run / "generator" / "config.json").read_text())["sampling"]
    assert (sampling["sampler"], sampling["eta"], sampling["steps"]) == ("ddim", 0.5, 4)
    assert sampling["fps"] == walk.layout.skeleton.fps
    after = json.loads((run / "evaluation" / "after-guidance-2.5.json").read_text())
    assert sampling.items() <= after["protocol"].items()
    looks = [json.loads(line)["update"] for line in (run / "watch.jsonl").read_text().splitlines()]
    assert looks[0] == 0 and looks[-1] == 2, "the start and the end are looked at"
    walk.run(*arguments, "--updates", 4, "--resume", "--allow-changed", "updates", sets=sets)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 4
    return run


def _every_method(walk: Walk) -> None:
    """Two updates of each method that learns from prompts or recorded motions, on the latent generator."""
    for name, method in usable_methods().items():
        noisy = ("eta=1",) if "noise" in method.preset.needs else ()
        small = [f"method.{field}=1" for field in ("k", "m") if field in method.preset.model_fields]
        walk.run(
            *("finetune", "--method", name, "--generator", walk.checkpoint("mld"), "--data", walk.data),
            *("--reward", walk.checkpoint("motionreward"), "--batch", 2, "--updates", 2),
            *("--out", walk.root / "methods" / name),
            sets=(*SMALL_RUN, *noisy, *small),
        )
    if walk.layout is HUMANML3D:
        _sopo_by_tmr(walk)
        _at_another_rate(walk)


def _sopo_by_tmr(walk: Walk) -> None:
    """The article's own pair of models; some samples are bad enough to be unpreferred, and some are not."""
    run = walk.root / "by-tmr"
    walk.run(
        *("finetune", "--preset", "mdm-sopo", "--generator", walk.checkpoint("mdm"), "--data", walk.data),
        *("--reward", walk.checkpoint("tmr"), "--batch", 8, "--updates", 2, "--out", run),
        sets=(*SMALL_RUN, "method.tau=auto"),  # a random TMR scores nothing below the article's 0.45
    )
    kept = [json.loads(line)["kept"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < share < 1 for share in kept), kept


def _at_another_rate(walk: Walk) -> None:
    """HY-Motion makes 30 frames a second of clips of 20: as long as they are, not two thirds of that."""
    run = walk.root / "hymotion-tuned"
    walk.run(
        *(
            "finetune",
            "--method",
            "easytune",
            "--generator",
            walk.checkpoint("hymotion"),
            "--data",
            walk.data,
        ),
        *("--reward", walk.checkpoint("motionreward"), "--batch", 2, "--updates", 1, "--out", run),
        sets=(*SMALL_RUN, "method.k=1"),
    )
    out, _ = walk.run(
        *("sample", "--data", walk.data, "--generator", run / "generator", "--out", walk.root / "at-30"),
        *("--format", "npy", "--json"),
    )
    frames = {line["file"]: line["frames"] for line in map(json.loads, out.splitlines())}
    longest = max(len(np.load(file)) for file in (walk.root / "data" / "new_joint_vecs").glob("*.npy"))
    assert max(frames.values()) == round(longest * 1.5)


def _compared(walk: Walk) -> None:
    """A preset that has only methods to compare; there are no labels, so R-Precision is the raw one."""
    preset = walk.root / "compare.yaml"
    preset.write_text("compare:\n  easytune: {k: 1}\n  draft:\n")
    out, said = walk.run(
        *("finetune", "--preset", preset, "--compare", "--generator", walk.checkpoint("mld"), "--json"),
        *("--data", walk.data, "--reward", walk.checkpoint("motionreward"), "--evaluator", walk.evaluator),
        *("--batch", 2, "--updates", 1, "--out", walk.root / "compared"),
        sets=("steps=2", *SMALL_TABLE),
    )
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["method"] for row in rows] == ["real", "before", "easytune", "draft"]
    assert all(row[f"R@{k} raw"] is not None for row in rows for k in (1, 2, 3))
    words = " ".join(said.split())  # lines are broken where the terminal and the paths have it
    assert "Guo et al. 2022" in words and "R-Precision among 32" in words


def _sampled_and_scored(walk: Walk, run: Path, reward: str) -> None:
    motions = walk.root / "samples"
    out, _ = walk.run(
        *("sample", "--data", walk.data, "--generator", run / "generator", "--out", motions),
        *("--format", "npy,html", "--json"),
    )
    assert {json.loads(line)["fps"] for line in out.splitlines()} == {walk.layout.skeleton.fps}
    out, _ = walk.run("score", motions, "--reward", reward, "--json")
    scores = [json.loads(line)["scores"] for line in out.splitlines()]
    assert len(scores) >= 32 and all(0 <= score["penetration"] < 1 for score in scores), "in metres"


def _evaluated(walk: Walk, run: Path, reward: str) -> None:
    results = []
    for sampler, more in ((None, ()), ("ddpm", ("--steps", 3))):
        named = ("--sampler", sampler) if sampler else ()
        out, _ = walk.run(
            *("eval", "generation", "--data", walk.data, "--generator", run / "generator", "--json"),
            *("--evaluator", walk.evaluator, "--repeats", 1, *named, *more),
        )
        results.append(json.loads(out))
    assert [result["protocol"]["sampler"] for result in results] == ["ddim", "ddpm"]
    assert results[0]["protocol"]["eta"] == 0.5 and results[0]["identity"] != results[1]["identity"]
    assert 0.01 < results[0]["real"]["motion_energy"][0] < 3, "in metres a second"
    walk.run(
        "eval", "retrieval", "--data", walk.data, "--evaluator", walk.evaluator, "--repeats", 1, "--json"
    )
    walk.run(
        *("eval", "authenticity", "--data", walk.data, "--motions", walk.root / "samples"),
        *("--reward", reward, "--json"),
    )
    pairs = walk.root / "pairs"
    for side, noise in (("better", 0.0), ("worse", 0.01)):
        (pairs / side).mkdir(parents=True)
        for name in walk.layout.names[:4]:
            clip = np.load(walk.root / "data" / "new_joint_vecs" / f"{name}.npy")
            np.save(pairs / side / f"{name}.npy", clip + noise)
    walk.run("eval", "preference", "--data", pairs, "--reward", reward, "--json")


def test_no_evaluator_is_asked_that_does_not_know_the_data(walk: Walk) -> None:
    arguments = (
        *("finetune", "--method", "refl", "--generator", walk.checkpoint("mdm"), "--data", walk.data),
        *("--reward", walk.checkpoint("spm"), "--batch", 2, "--updates", 1, "--json"),
    )
    sets = ("steps=2", "method.m=1", *SMALL_TABLE)
    out, said = walk.run(*arguments, "--out", walk.root / "alone", sets=sets)
    table = next(iter(json.loads(out)["tables"].values()))
    assert "No evaluator of this data was named" in said
    assert "jitter" in table and "MM-Dist" not in table and not any("R@" in name for name in table)
    assert "No evaluator of this data was named" in (walk.root / "alone" / "report.html").read_text()
    if walk.layout is KIT_ML:
        _, said = walk.run(*arguments, "--evaluator", "builtin", "--out", walk.root / "x", sets=sets, code=2)
        assert "263" in said and "251" in said and not (walk.root / "x").exists()
        _, said = walk.run(*arguments, "--reward", "builtin", "--out", walk.root / "y", sets=sets, code=2)
        assert "263" in said and "251" in said
