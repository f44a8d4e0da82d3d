"""Cost a clip and peak memory of data sets of any size: made-up clips, each step in a process of its own.

python -m tests.benchmarks.scale --out build/scale --sizes 1000,10000,100000 --layout shards

Clips are short (41 to 60 frames of features), so that a size costs minutes. `convert --dataset` (the executable, on
made-up joints) is measured from motions; the other steps read a data set that is written without it, of 250 different
motions over and over and 500 different captions: train-reward up to its first update, one look of refine-spl at
the training set, and `score` (the executable). Seconds are of the processor, memory is the largest resident set (VmHWM).
"""

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHORTEST, LONGEST = 42, 61
"""Frames of joints; features have one fewer."""
_BLOCK = 250
"""Clips that are made at once."""
_CAPTIONS = 500
"""Different captions of a data set: what a text encoder costs is not the data set's."""
_WHO = ("a man", "a woman", "the person", "somebody", "an old man", "a child", "the dancer", "a worker")
_DOES = ("walks", "turns", "waves", "bows", "steps", "jumps", "reaches", "leans", "kneels", "stretches")
_HOW = ("slowly", "quickly", "to the left", "to the right", "forward", "back", "twice", "with both hands")


def caption(number: int) -> str:
    """One of 8 x 10 x 8 sentences, and a number that nothing else has."""
    who, does, how = _WHO[number % 8], _DOES[number // 8 % 10], _HOW[number // 80 % 8]
    return f"{who} {does} {how} in scene {number // 640}"


def make_motions(folder: Path, count: int) -> None:
    """`motions/`, `captions.jsonl` and `splits.csv` of made-up people; nine of ten clips are for training."""
    import torch

    from tests.representations.people import people

    (folder / "motions").mkdir(parents=True)
    lengths = np.random.default_rng(0).integers(SHORTEST, LONGEST + 1, count)
    for first in range(0, count, _BLOCK):
        made = people(LONGEST, seed=first, batch=min(_BLOCK, count - first)).to(torch.float32).numpy()
        for number, joints in enumerate(made, first):
            np.save(folder / "motions" / f"{number:07d}.npy", joints[: lengths[number]])
    with open(folder / "captions.jsonl", "w") as file:
        for number in range(count):
            file.write(json.dumps({"clip_id": f"{number:07d}", "captions": [caption(number)]}) + "\n")
    with open(folder / "splits.csv", "w") as file:
        file.write("clip_id,split\n")
        for number in range(count):
            file.write(f"{number:07d},{split_of(number)}\n")


def make_data(folder: Path, count: int, layout: str) -> None:
    """`data/`: a data set of that many clips; only what differs from clip to clip is computed for each."""
    import torch

    from motionrft.files.clip_writing import representations_of
    from motionrft.files.packing import writer_of
    from motionrft.representations.statistics import Statistics
    from tests.representations.people import people

    motions = [
        representations_of("made", each[None].float()) for each in people(LONGEST, batch=min(_BLOCK, count))
    ]
    lengths = np.random.default_rng(0).integers(SHORTEST - 1, LONGEST, count)
    (folder / "data").mkdir()
    write = writer_of(folder / "data", layout)
    for number, frames in enumerate(lengths):
        arrays = {name: motion[:frames] for name, motion in motions[number % len(motions)].items()}
        write.add(f"{number:07d}", arrays, f"{caption(number % _CAPTIONS)}##0.0#0.0\n")
    write.finish()
    for split in ("train", "val", "test"):
        names = (f"{number:07d}\n" for number in range(count) if split_of(number) == split)
        (folder / "data" / f"{split}.txt").write_text("".join(names))
    for name in motions[0]:
        Statistics.of_clips((torch.from_numpy(each[name]) for each in motions), name).save(
            folder / "data", name
        )


def split_of(number: int) -> str:
    """Nine of ten clips are for training."""
    return ("val" if number % 20 else "test") if number % 10 == 0 else "train"


def convert(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`motionrft convert --dataset`, in this process."""
    shutil.rmtree(folder / "built", ignore_errors=True)
    given = ["--captions", str(folder / "captions.jsonl"), "--splits", str(folder / "splits.csv")]
    _executable("convert", str(folder / "motions"), "--dataset", *given, "--out", str(folder / "built"),
                "--jobs", str(options.jobs), "--quiet", "--set", f"layout={options.layout}")  # fmt: skip
    shutil.rmtree(folder / "built")
    return {"clips": len(os.listdir(folder / "motions")), "jobs": options.jobs}


def first_update(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything of `train-reward --preset mini` up to its first update: lists, captions, their features, a batch."""
    from motionrft.reward.motionreward.reward_session import open_splits
    from motionrft.reward.motionreward.semantic import SemanticTrainer, warm_text_cache
    from motionrft.reward.motionreward.training import new_reward

    preset = _train_reward_preset()
    data = open_splits(str(folder / "data"), preset.min_frames, preset.max_frames)
    stages = {"opened": time.process_time()}
    assert data.train.identity
    stages["identity"] = time.process_time()
    reward = new_reward(preset, data.train)
    warm_text_cache(reward, data.train)
    stages["texts"] = time.process_time()
    SemanticTrainer(reward, data.train, data.validation, preset.semantic, preset.seed).update(0)
    return {"clips": len(data.train) + len(data.validation), "reached_at": stages}


def mining(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One look of `refine-spl` at the training set, by the built-in reward."""
    from motionrft.data import MotionDataset
    from motionrft.loading import load_reward
    from motionrft.reward.motionreward.motionreward import MotionReward
    from motionrft.reward.spl.mining import mine_failures
    from motionrft.reward.spl.spl_preset import RefineSplPreset

    reward = load_reward("builtin")
    assert isinstance(reward, MotionReward)
    data = MotionDataset(folder / "data", "train")
    found = mine_failures(reward, data, "kinematic", RefineSplPreset.of({}))
    return {"clips": len(data), "failed": found.rate}


def score(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`motionrft score --json` over the clips' features, all terms."""
    from motionrft.files.clip_names import read_names

    place = folder / "data" / ("shards" if options.layout == "shards" else "new_joint_vecs")
    chosen = sorted(place.iterdir())
    sys.stdin = io.TextIOWrapper(io.BytesIO("\n".join(map(str, chosen)).encode()))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        _executable("score", "-", "--json", "--quiet", "--text", "a person walks")
    lists = (folder / "data" / f"{split}.txt" for split in ("train", "val", "test"))
    return {"clips": sum(len(read_names(each)) for each in lists)}


def _executable(*arguments: str) -> None:
    from motionrft_cli.main import main

    try:
        sys.argv = ["motionrft", *arguments]
        code = main()
    except SystemExit as error:
        code = error.code
    assert not code, (arguments, code)


def _train_reward_preset() -> Any:
    from motionrft.reward.motionreward.preset import TrainRewardPreset
    from motionrft.settings.layers import resolve

    return resolve(TrainRewardPreset, "mini")


TASKS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "convert": convert,
    "train-reward": first_update,
    "refine-spl": mining,
    "score": score,
}


def peak_mib() -> int:
    """Largest resident set of this process."""
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) // 1024


def measured(task: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run a task here and say what it cost: processor seconds of this process and of those it started."""
    found = TASKS[task](folder, options)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, others = (each.ru_utime + each.ru_stime for each in used)
    seconds = own + others
    return found | {
        "seconds": round(seconds, 2),
        "of_workers": round(others, 2),
        "ms_a_clip": round(1000 * seconds / found["clips"], 3),
        "peak_mib": peak_mib(),
    }


def main() -> None:
    """Every task at every size, or (`--task`) one here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--task", choices=sorted(TASKS))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--layout", choices=("folders", "shards"), default="shards")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(measured(options.task, options.out, options)))
        return
    for size in map(int, options.sizes.split(",")):
        for task in options.tasks.split(","):
            print(json.dumps(_row(task, size, options)), flush=True)


def _row(task: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """A task at a size, in a process of its own that starts with nothing in its cache."""
    folder = options.out / f"{size}-{options.layout}"
    if task == "convert" and not (folder / "motions").is_dir():
        make_motions(folder, size)
    elif task != "convert" and not (folder / "data").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        make_data(folder, size, options.layout)
    passed = [f"--out={folder}", f"--task={task}", f"--jobs={options.jobs}", f"--layout={options.layout}"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "MOTIONRFT_CACHE": cache}
        command = [sys.executable, "-m", "tests.benchmarks.scale", *passed]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return {"task": task, "size": size, "layout": options.layout, **json.loads(done.stdout.splitlines()[-1])}


if __name__ == "__main__":
    main()
