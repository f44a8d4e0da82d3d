"""Cost a clip and peak memory of data sets of any size: made-up clips, each step in a process of its own.

python -m tests.benchmarks.scale --out build/scale --sizes 1000,10000,100000

Clips are short (41 to 60 frames of features), so that a size costs minutes; captions are all different. Of
`convert --dataset` and `score` the executable itself runs; of train-reward everything up to its first update; of
refine-spl one look at the training set. Seconds are of the processor, memory is the largest resident set (VmHWM).
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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHORTEST, LONGEST = 42, 61
"""Frames of joints; features have one fewer."""
_BLOCK = 250
"""Clips that are made at once."""
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
            file.write(
                f"{number:07d},{('val' if number % 20 else 'test') if number % 10 == 0 else 'train'}\n"
            )


def convert(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`motionrft convert --dataset`, in this process."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    given = ["--captions", str(folder / "captions.jsonl"), "--splits", str(folder / "splits.csv")]
    layout = ["--set", "layout=shards"] if options.shards else []
    _executable("convert", str(folder / "motions"), "--dataset", *given, "--out", str(folder / "data"),
                "--jobs", str(options.jobs), "--quiet", *layout)  # fmt: skip
    return {"clips": sum(1 for _ in open(folder / "captions.jsonl"))}


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
    """`motionrft score --json` over the clips' features, `--most` of them at most."""
    place = folder / "data" / ("shards" if options.shards else "new_joint_vecs")
    chosen = sorted(place.iterdir())
    chosen = chosen[: options.most] if options.most and not options.shards else chosen
    sys.stdin = io.TextIOWrapper(io.BytesIO("\n".join(map(str, chosen)).encode()))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        _executable("score", "-", "--json", "--quiet", "--text", "a person walks")
    return {"clips": len(chosen)}


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
    began = time.perf_counter()
    found = TASKS[task](folder, options)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return found | {
        "seconds": round(seconds, 2),
        "wall": round(time.perf_counter() - began, 2),
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
    parser.add_argument("--shards", action="store_true")
    parser.add_argument("--most", type=int, default=0, help="score: clips at most")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(measured(options.task, options.out, options)))
        return
    for size in map(int, options.sizes.split(",")):
        folder = options.out / str(size)
        if not folder.is_dir():
            make_motions(folder, size)
        for task in options.tasks.split(","):
            passed = [f"--jobs={options.jobs}", f"--most={options.most}", *(["--shards"] * options.shards)]
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.scale",
                "--out",
                str(folder),
                "--task",
                task,
                *passed,
            ]
            environment = {**os.environ, "MOTIONRFT_CACHE": str(folder / "cache")}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
            print(
                json.dumps({"task": task, "size": size, **json.loads(done.stdout.splitlines()[-1])}),
                flush=True,
            )


if __name__ == "__main__":
    main()
