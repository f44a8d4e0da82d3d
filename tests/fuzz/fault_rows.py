"""The rows of the folder of faults: the scene that each file belongs into, the command, and how it must end.

`python -m tests.fuzz.fault_rows FOLDER` runs every row through the real executable, under limits of time and memory,
and prints the table.
"""

import gzip
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from motionrft import builtin
from motionrft.evaluation.result import EvaluationResult
from motionrft.training.weights import write_manifest
from motionrft_cli import main as program
from tests.representations.people import people

SECONDS, BYTES = 10.0, 1 << 30
"""What a command may take that ends in a fault: time of the processor, and memory."""


@dataclass(frozen=True)
class Row:
    """file: glob of the folder. prepare: puts the scene into a place and returns the command. codes: legal exits.
    said: words that stderr must hold. check: what must be true afterwards."""

    file: str
    prepare: Callable[[Path, Path], list[str]]
    codes: tuple[int, ...] = (2, 3)
    said: tuple[str, ...] = ()
    check: Callable[[Path], None] = field(default=lambda place: None)


def score(fault: Path, place: Path) -> list[str]:
    return ["score", str(fault), "--terms", "physics", "--json"]


def unzipped(fault: Path, place: Path) -> list[str]:
    target = place / fault.stem
    target.write_bytes(gzip.decompress(fault.read_bytes()))
    return score(target, place)


def to_joints(fault: Path, place: Path) -> list[str]:
    return ["convert", str(fault), "--to", "joints", "--out", str(place / "out")]


def checkpoint(fault: Path, place: Path) -> list[str]:
    return ["convert", str(fault), "--to", "motionrft", "--out", str(place / "out")]


def joint_map(fault: Path, place: Path) -> list[str]:
    save_joints(place / "a.npy")
    command = ["convert", str(place / "a.npy"), "--to", "joints", "--joint-map", str(fault)]
    return [*command, "--out", str(place / "out")]


def preset(fault: Path, place: Path) -> list[str]:
    return ["finetune", "--show-preset", "--preset", str(fault)]


def collision(fault: Path, place: Path) -> list[str]:
    save_joints(place / "y.npy", batch=2)
    save_joints(place / "y_000.npy")
    files = [str(place / name) for name in ("y.npy", "y_000.npy")]
    return ["convert", *files, "--to", "joints", "--out", str(place / "out")]


def three_files(place: Path) -> None:
    assert len(list((place / "out").glob("*.npy"))) == 3


def with_captions(fault: Path, place: Path) -> list[str]:
    (place / "splits.csv").write_text("clip_id,split\na,train\n")
    return _dataset(place, ["a"], fault, place / "splits.csv")


def with_splits(*clips: str) -> Callable[[Path, Path], list[str]]:
    def prepare(fault: Path, place: Path) -> list[str]:
        lines = [json.dumps({"clip_id": clip, "captions": ["a person walks"]}) for clip in clips]
        (place / "captions.jsonl").write_text("\n".join(lines))
        return _dataset(place, clips, place / "captions.jsonl", fault)

    return prepare


def _dataset(place: Path, clips: Sequence[str], captions: Path, splits: Path) -> list[str]:
    (place / "in").mkdir()
    for clip in clips:
        save_joints(place / "in" / f"{clip}.npy")
    command = ["convert", str(place / "in"), "--dataset", "--captions", str(captions)]
    return [*command, "--splits", str(splits), "--out", str(place / "set")]


def one_caption(place: Path) -> None:
    lines = (place / "set" / "texts" / "a.txt").read_text().splitlines()
    assert lines == ["walk on##0.0#0.0"], lines


def names_with_spaces(place: Path) -> None:
    assert (place / "set" / "train.txt").read_text() == "walk one\n"
    assert np.load(place / "set" / "new_joints" / "walk one.npy").shape[1:] == (22, 3)


def data_set(place: Path, split: bytes = b"a\n") -> Path:
    """A data set of one clip `a`, as a user may have it; returns its folder."""
    folder = place / "data"
    for name in ("new_joint_vecs", "new_joints", "texts"):
        (folder / name).mkdir(parents=True)
    draws = np.random.default_rng(0).normal(size=(40, 263)).astype(np.float32)
    np.save(folder / "new_joint_vecs" / "a.npy", draws)
    np.save(folder / "new_joints" / "a.npy", people(40, 0)[0].float().numpy())
    (folder / "texts" / "a.txt").write_text("a person walks#a/DET person/NOUN walk/VERB#0.0#0.0\n")
    for name in ("train.txt", "val.txt"):
        (folder / name).write_bytes(split)
    np.save(folder / "Mean.npy", np.zeros(263, np.float32))
    np.save(folder / "Std.npy", np.ones(263, np.float32))
    return folder


def existing(*command: str) -> Callable[[Path, Path], list[str]]:
    """The fault is the split list of a data set; beside it lies a motion that is nobody's business."""

    def prepare(fault: Path, place: Path) -> list[str]:
        folder = data_set(place, fault.read_bytes())
        (folder / "new_joint_vecs" / "sub").mkdir()
        (place / "mine").mkdir()
        (place / "mine" / "walk.npy").write_bytes((folder / "new_joint_vecs" / "a.npy").read_bytes())
        return ["convert", str(folder), *command]

    return prepare


def mine_is_untouched(place: Path) -> None:
    assert np.load(place / "mine" / "walk.npy").shape == (40, 263)
    assert [path.name for path in (place / "mine").iterdir()] == ["walk.npy"]


def in_data(name: str) -> Callable[[Path, Path], list[str]]:
    """The fault is a file of a data set that is trained on."""

    def prepare(fault: Path, place: Path) -> list[str]:
        folder = data_set(place)
        (folder / name).write_bytes(fault.read_bytes())
        command = ["train-reward", "--preset", "mini", "--stage", "semantic", "--data", str(folder)]
        return [*command, "--out", str(place / "out")]

    return prepare


def pairs(fault: Path, place: Path) -> list[str]:
    (place / "pairs").mkdir()
    (place / "pairs" / "pairs.jsonl").write_bytes(fault.read_bytes())
    return ["eval", "preference", "--data", str(place / "pairs")]


def manifest(fault: Path, place: Path) -> list[str]:
    folder = place / "generator"
    shutil.copytree(builtin.path("generator"), folder)
    (folder / "manifest.json").chmod(0o644)
    (folder / "manifest.json").write_bytes(fault.read_bytes())
    return ["sample", "a person waves", "--generator", str(folder), "--out", str(place / "out")]


def results(fault: Path, place: Path) -> list[str]:
    told = json.loads(fault.read_text())
    for number in range(2):
        EvaluationResult(
            kind="generation",
            subject={"name": told["name"], "identity": str(number)},
            judge={},
            data={"split": "test", "items": 3},
            protocol={},
            seeds=[0],
            environment={},
            metrics={"fid": [1.0]},
            notes=told["notes"],
        ).save(place / f"{number}.json")
    return ["eval", "generation", "--compare", str(place / "0.json"), str(place / "1.json"), "--latex"]


def run_with(name: str) -> Callable[[Path, Path], list[str]]:
    """The fault is a file of a run that is resumed: the first update was saved, then the second."""

    def prepare(fault: Path, place: Path) -> list[str]:
        command = small_run(place)
        assert program.run([*command, "--quiet"]) == 0
        folder = place / "out" / "autoencoder"
        newest = folder / "checkpoints" / "step-2"
        target = folder / name if name == "metrics.jsonl" else newest / name
        target.write_bytes(fault.read_bytes())
        if name == "metrics.jsonl":
            state = json.loads((newest / "state.json").read_text()) | {
                "metrics_bytes": len(fault.read_bytes())
            }
            (newest / "state.json").write_text(json.dumps(state))
        write_manifest(newest)
        return [*command[:1], "--out", str(place / "out"), "--resume"]

    return prepare


def small_run(place: Path) -> list[str]:
    """A pretraining of two updates, with a checkpoint after each."""
    autoencoder = {"kind": "convolutional", "features": 263, "width": 4, "hidden": 16, "levels": 2}
    settings = {
        "data": str(data_set(place)),
        "stage": "autoencoder",
        "generator": {"family": "mld", "autoencoder": autoencoder},
        "autoencoder": {"updates": 2, "batch": 4, "window": 16},
        "checkpoint_every": 1,
    }
    (place / "preset.yaml").write_text(yaml.safe_dump(settings))
    return ["pretrain", "--preset", str(place / "preset.yaml"), "--out", str(place / "out")]


def set_aside(place: Path) -> None:
    checkpoints = {path.name for path in (place / "out" / "autoencoder" / "checkpoints").iterdir()}
    assert checkpoints == {"step-1", "step-2", "step-2.damaged"}, checkpoints


def save_joints(path: Path, batch: int | None = None) -> None:
    joints = people(40, 0)[0].float().numpy()
    np.save(path, joints if batch is None else np.stack([joints] * batch))


ROWS = (
    Row("batch-collision.txt", collision, (0,), check=three_files),
    Row("bvh-blank-lines.bvh.gz", unzipped),
    Row("bvh-deep.bvh", score),
    Row("bvh-frame-time-in-ms.bvh", to_joints, said=("Frame Time", "milliseconds")),
    Row("bvh-underscore-number.bvh", score, said=("'1_0' is not a number",)),
    Row("captions-null.jsonl", with_captions, said=("line 1", "caption")),
    Row("captions-string.jsonl", with_captions, said=("line 1", "list of texts")),
    Row("captions-u2028.jsonl", with_captions, (0,), check=one_caption),
    Row("ckpt-*.ckpt", checkpoint),
    Row("dataset-fps-zero.json", in_data("dataset.json"), (2,), ("dataset.json: fps is 0",)),
    Row("dataset-list.json", in_data("dataset.json"), (2,), ("dataset.json",)),
    Row("dataset-not-json.json", in_data("dataset.json"), (2,), ("dataset.json: the file is empty",)),
    Row("index-no-clip-id.csv", in_data("index.csv"), (2,), ("index.csv: no column 'clip_id'",)),
    Row("jointmap-*.yaml", joint_map, (2,)),
    Row("latex-note.json", results, (0,)),
    Row("manifest-*.json", manifest, (2,), ("manifest.json: damaged",)),
    Row("metrics-torn.jsonl", run_with("metrics.jsonl"), (2,), ("metrics.jsonl: line 1",)),
    Row("npy-float-max.npy", to_joints, said=("frame 0",)),
    Row("npy-*.npy", score),
    Row("npz-fps-*.npz", to_joints, said=("a frame rate is a number",)),
    Row("npz-*.npz", score),
    Row("pairs-latin1.jsonl", pairs, (2,), ("pairs.jsonl: line 1",)),
    Row("split-latin1.txt", existing("--check"), (2, 3), ("train.txt: line 2",)),
    Row("split-outside.txt", existing("--dataset"), (2, 3), ("train.txt: line 2",), mine_is_untouched),
    Row("split-names-with-spaces.csv", with_splits("walk one", "walk two"), (0,), check=names_with_spaces),
    Row("splits-extra-cell-first.csv", with_splits("a"), (2,), ("line 2: 3 cells",)),
    Row("splits-extra-cell.csv", with_splits("a", "b"), (2,), ("line 3: 3 cells",)),
    Row("splits-twice.csv", with_splits("a"), (2,), ("line 3",)),
    Row("st-infinite-offset.safetensors", score),
    Row("state-empty.json", run_with("state.json"), (0,), ("Checkpoint 2 was set aside",), set_aside),
    Row("texts-inf.txt", in_data("texts/a.txt"), (2,), ("a.txt: line 1",)),
    Row("yaml-*.yaml", preset, (2,)),
)


def cases(folder: Path) -> list[tuple[Path, Row]]:
    """Every file of the folder with the first row that it fits; files without a row are left out."""
    found = []
    for path in sorted(folder.iterdir()):
        row = next((row for row in ROWS if path.match(row.file)), None)
        if row is not None:
            found.append((path, row))
    return found


def _processor_seconds() -> float:
    """Of all children so far: what a command takes does not depend on who else is busy."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))


def _run(fault: Path, row: Row) -> tuple[str, bool]:
    """One row through the executable: the line of the table, and whether all was as it should be."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        command = row.prepare(fault, place)
        words = [sys.executable, "-m", "motionrft_cli.main", *command]
        began = _processor_seconds()
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_limited
        ) as process:
            _, err = process.communicate(timeout=300)
            process.wait()
        seconds = _processor_seconds() - began
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
        good = process.returncode in row.codes and all(word in err for word in row.said)
        good = good and "Traceback" not in err and memory < BYTES
        good = good and (
            seconds < SECONDS or process.returncode == 0
        )  # a run that goes on takes what it takes
        try:
            row.check(place)
        except AssertionError as error:
            good, err = False, f"{err} {error}"
        last = err.strip().splitlines()[-1].replace(str(place), "…") if err.strip() else ""
    mib = memory >> 20
    return f"| {fault.name} | {process.returncode} | {seconds:.1f} s | {mib} MiB | {last[:160]} |", good


if __name__ == "__main__":
    failed = []
    print(
        "| fault | exit | processor | memory, largest so far | last line |\n| --- | ---: | ---: | ---: | --- |"
    )
    for fault, row in cases(Path(sys.argv[1])):
        line, good = _run(fault, row)
        print(line if good else f"{line} **not as it should**", flush=True)
        failed += [] if good else [fault.name]
    sys.exit(f"not as they should: {', '.join(failed)}" if failed else 0)
