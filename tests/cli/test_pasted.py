"""What is shown to be pasted runs: every example of every help, every command of README, on tiny data and settings."""

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import numpy as np
import pytest

from motionrft import builtin
from motionrft.files.packing import repack
from motionrft.registry import TEXT_ENCODERS
from motionrft_cli import main
from motionrft_cli.commands import COMMANDS, load_function
from tests.abroad.checkpoints import write_evaluator, write_generator
from tests.abroad.layouts import HUMANML3D, write_dataset
from tests.cli.test_examples import ROOT, readme_commands
from tests.fuzz import seeds
from tests.generators.families import WordEncoder
from tests.pretraining.people_data import SMALLER
from tests.representations.people import people

TUNED = ("updates=1", "batch=2", "steps=2", "watch.every=0", "evaluation.prompts=0", "checkpoint_every=0")
NETWORK = (
    "model.width=16",
    "model.latent=16",
    "model.projection_hidden=16",
    "model.representations=[kinematic]",
)
KINDS = "kinds={integrity: 2, temporal: 0, frequency: 0}"
DIFFUSION = "(?!.*(builtin-tokens|runs/atom))"
"""Of a pattern: no generator of motion tokens, which knows no steps."""
FEW = (KINDS, "candidates=2", "steps=2")
FEW_PAIRS = (
    *("preference.count=8", "preference.validation=6", "preference.batch=4"),
    *("authenticity.count=6", "authenticity.validation=4", "authenticity.batch=4", "authenticity.steps=2"),
)
SMALL: dict[str, tuple[str, ...]] = {
    "finetune (.*(easytune|draft)|(?!.*(--method|atom)))": ("method.k=1",),
    "finetune .*--method ddpo": ("method.epochs=1",),
    "finetune(?!.*(show-plan|atom))": TUNED,
    "finetune .*atom": tuple(setting for setting in TUNED if "steps" not in setting),
    "convert .*--captions": ("min_frames=8",),
    "pretrain .*mini-mld": ("stage=autoencoder", "autoencoder.updates=1", "autoencoder.batch=2"),
    "pretrain .*mdm": ("denoiser.batch=2", *SMALLER["mdm"]),
    "train-reward .*--stage all": ("preference.updates=2", "authenticity.updates=2", *FEW_PAIRS),
    "train-reward(?!.*evaluator)": ("semantic.updates=2", "semantic.batch=8", *NETWORK),
    "train-reward .*evaluator": ("evaluator.updates=1", "evaluator.batch=4"),
    "refine-spl": ("updates=1", "batch=4"),
    "prefer(?!.*(endpoint|atom))": FEW,
    "prefer .*atom": (KINDS, "candidates=2"),
    f"sample{DIFFUSION}": ("steps=2",),
    "sample .*--num": ("seconds=1",),
    f"eval generation{DIFFUSION}": ("steps=2",),
    "eval generation .*mini": ("repeats=1", "per_label=1"),
    "eval generation .*paper": ("repeats=1", "multimodality=2"),
    f"eval events{DIFFUSION}": ("steps=2", f"events.{KINDS}"),
}
"""Pattern of a command -> settings that make it short; their own values stand in tests of their own."""
GOOD = {"score .*--preset lint": (0, 1), "score .*--fail": (0, 1)}
"""Exit codes of those that judge; all others end with 0."""


ELSEWHERE = {
    "--preset kimodo-easytune": ("tests/finetuning/test_kimodo.py", "Kimodo's weights are gigabytes"),
    "--generator runs/kimodo": ("tests/finetuning/test_kimodo.py", "Kimodo's weights are gigabytes"),
    "runs/kimodo/generator --to": ("tests/finetuning/test_kimodo.py", "Kimodo's weights are gigabytes"),
    '--data "$DATA" --out "$OUT" $resume': ("tests/cli/test_resume.py", "it is a piece of a job script"),
    "--generator motiongpt_s3_h3d.tar": ("tests/cli/test_sample_presets.py", "the checkpoint is not ours"),
    "runs/atom": ("tests/finetuning/test_tokens.py", "a run over motion tokens is made there"),
    "merge ": ("tests/cli/test_shares.py", "it takes what several jobs have made"),
}
"""What a line holds -> where the like of it runs, and why not here."""


def written() -> list[str]:
    """Every line once, in the order of the README and of the commands."""
    shown = [re.sub(r"\s+#.*| >.*", "", line).strip() for line in readme_commands()]
    helps = [example for name in COMMANDS for example in load_function(name).examples]
    lines = dict.fromkeys([*shown, *helps])
    return [line for line in lines if not any(part in line for part in ELSEWHERE)]


def test_lines_that_run_elsewhere_are_still_written_and_tested_there() -> None:
    shown = "\n".join([*readme_commands(), *(e for name in COMMANDS for e in load_function(name).examples)])
    for part, (file, _) in ELSEWHERE.items():
        assert part in shown and (ROOT / file).is_file()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything lies that the lines name."""
    place = tmp_path_factory.mktemp("scene")
    data = write_dataset(HUMANML3D, place / "HumanML3D")
    (place / "data").mkdir()
    (place / "data" / "mine").symlink_to(data)
    repack(data, place / "data" / "shards", "shards")
    (place / "data" / "h3d-shards").symlink_to(place / "data" / "shards")
    checkpoint = write_generator("mld", data, HUMANML3D, place / "mld")
    for each in checkpoint.parent.iterdir():
        (place / each.name).symlink_to(each)
    write_evaluator(data, HUMANML3D, place / "checkpoints")
    small = [word for setting in SMALL["train-reward(?!.*evaluator)"] for word in ("--set", setting)]
    reward = [
        "train-reward",
        "--preset",
        "mini",
        "--data",
        str(data),
        "--out",
        str(place / "runs" / "reward"),
    ]
    assert main.run([*reward, *small]) == 0
    (place / "runs" / "spl").mkdir()
    (place / "runs" / "spl" / "reward").symlink_to(place / "runs" / "reward" / "reward")
    for name in ("tuned", "first"):
        (place / "runs" / name).mkdir()
        (place / "runs" / name / "generator").symlink_to(builtin.resolve("builtin", "generator"))
    (place / "runs" / "atom").mkdir()
    (place / "runs" / "atom" / "generator").symlink_to(builtin.resolve("builtin-tokens", "generator"))
    for folder in ("captures", "new", "AMASS"):
        (place / folder).mkdir()
        seeds.bvh(place / folder)
    shutil.copy(place / "new" / "a.bvh", place / "hero.bvh")
    shutil.copy(place / "new" / "a.bvh", place / "day.bvh")
    seeds.captions(place)
    seeds.splits(place)
    seeds.prompts(place)
    (place / "index.csv").write_text("file,start,end,caption\na,0,0.5,a person walks\n")
    for folder in ("samples", "out"):
        (place / folder).mkdir()
        np.save(place / folder / "a.npy", people(24, 1)[0].float().numpy())
        (place / folder / "a.txt").write_text("a person walks\n")
    shutil.copy(place / "out" / "a.npy", place / "walk.npy")
    (place / "runs" / "prefer").mkdir()
    seeds.pairs(place / "runs" / "prefer")
    pair = '{"prompt": "a person walks", "better": "a.npy", "worse": "b.npy", "kind": "x"}\n'
    (place / "runs" / "prefer" / "pairs.jsonl").write_text(pair)
    prompt = '{"text": "a person bows", "kind": "frequency", "events": ["bow"], "held_out": true}\n'
    (place / "runs" / "prefer" / "prompts.jsonl").write_text(prompt)
    (place / "runs" / "words").mkdir()
    (place / "runs" / "words" / "prompts.jsonl").write_text(f'{{"text": "a person bows twice"}}\n{prompt}')
    (place / "mine.txt").write_text("a person bows twice\na person bows, then walks forward\n")
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (place / "my_rewards.py").write_text(next(block for block in code if "def low_hands" in block))
    return place


@pytest.fixture(autouse=True)
def inside(scene: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The working folder, a cache of its own, and encoders without weights but for the one that travels along."""
    for name in TEXT_ENCODERS.names():
        if name != "minilm":
            monkeypatch.setitem(TEXT_ENCODERS.added, name, (lambda path, device: WordEncoder(), "a test"))
    monkeypatch.chdir(scene)
    monkeypatch.syspath_prepend(str(scene))
    monkeypatch.setenv("MOTIONRFT_CACHE", str(scene / "cache"))
    before = {path for path in scene.rglob("*") if not path.is_relative_to(scene / "cache")}
    yield
    made = [path for path in scene.rglob("*") if path not in before and "cache" not in path.parts]
    for path in sorted(made, reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("line", written())
def test_a_line_to_paste_runs(
    line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line = line.replace("$seed", "1").replace("--jobs 2", "--jobs 1")
    words = [found for word in shlex.split(line)[1:] for found in (sorted(glob(word)) or [word])]
    small = [
        value
        for pattern, values in SMALL.items()
        if re.match(rf"motionrft {pattern}", line)
        for value in values
    ]
    if " - " in f"{line} ":
        listed = io.TextIOWrapper(io.BytesIO(b"new/a.bvh\n" if "convert" in line else b"samples/a.npy\n"))
        monkeypatch.setattr(sys, "stdin", listed)
    if "--out" in words and Path(words[words.index("--out") + 1]).exists():
        words[words.index("--out") + 1] += "-again"  # what other lines read lies there
    code = main.run([*words, *(word for value in small for word in ("--set", value))])
    good = next((codes for pattern, codes in GOOD.items() if re.match(rf"motionrft {pattern}", line)), (0,))
    assert code in good, capfd.readouterr().err[-800:]
