"""Every reader with a good file for it: what is damaged, and what reads it.

A seed is a folder that is made once; a case damages one of its files in a copy and reads the whole.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionrft.data import MotionDataset, read_prompts
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.loading import load_guo
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.result import EvaluationResult
from motionrft.files.archives import unpacked
from motionrft.files.captions import read_captions
from motionrft.files.cuts import read_cuts
from motionrft.files.dataset import read_splits
from motionrft.files.existing import check_dataset
from motionrft.files.formats.base import FileFault
from motionrft.files.joint_maps import read_joint_map
from motionrft.files.motions import stream_motions
from motionrft.files.reading import ReadingOptions
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.watch import read_looks
from motionrft.generators.folder import read_generator
from motionrft.official.generators import read_official
from motionrft.official.rewards import read_reward
from motionrft.report.study import read_ratings
from motionrft.representations.statistics import Statistics
from motionrft.reward.loading import read_reward_folder
from motionrft.reward.motionreward.pairs import read_pairs
from motionrft.settings.layers import resolve
from motionrft.training.run import RunFolder
from tests.fuzz import seeds


@dataclass(frozen=True)
class Reader:
    """make: writes the good files into a folder. damage: globs of those that are damaged. read: reads the folder.
    vouched: a manifest is written anew after the damage, so that what it vouches for is wrong.
    """

    make: Callable[[Path], None]
    damage: tuple[str, ...]
    read: Callable[[Path], Any]
    vouched: bool = False
    shapes: bool = False
    """The damage is of a checkpoint's tensors (`misshapen`), not of its bytes."""


def motions(folder: Path) -> None:
    """Every file of the folder as motions, each of which must be finite and move."""
    for path in sorted(folder.iterdir()):
        for found in stream_motions(path, ReadingOptions(fps=20.0)):
            if isinstance(found, FileFault):
                raise UserError(found.message)
            assert np.isfinite(found.array).all() and len(found.array) > 1 and 1 <= found.fps <= 1000


def archive(folder: Path) -> None:
    with unpacked([folder / "motions.tar.gz"], folder / "out") as places:
        sizes = [path.stat().st_size for path in places[0].rglob("*") if path.is_file()]
        assert sum(sizes) < 200 << 20


def data_set(folder: Path) -> None:
    found = MotionDataset(folder, "train")
    for item in range(len(found)):
        for representation in found.representations:
            assert torch.isfinite(found.motion(item, representation)).all()
    found.statistics()
    assert found.identity


def captions(folder: Path) -> None:
    for texts in read_captions(folder / "captions.jsonl").values():
        assert all(isinstance(text, str) and text.splitlines() == [text] for text in texts)


def run_state(folder: Path) -> None:
    anything = ["seed", "method", "data"]
    with RunFolder.open(folder / "run", seeds.RUN_PRESET, {}, resume=True, allow_changed=anything) as run:
        run.load_latest()
        run.best()
        run.read_metrics()
        read_looks(run.path)


def results(folder: Path) -> None:
    from motionrft.evaluation import tables

    loaded = [EvaluationResult.load(folder / "result.json")]
    tables.latex(loaded)
    tables.markdown(loaded)
    tables.shell_table(loaded)


def checkpoint(read: Callable[..., Any]) -> Callable[[Path], Any]:
    def run(folder: Path) -> Any:
        return read(
            next(path for path in folder.iterdir() if path.suffix in (".ckpt", ".pt", ".pth", ".tar"))
        )

    return run


def _models() -> dict[str, Reader]:
    """Our own model folders: damaged, and damaged with a manifest that vouches for the damage."""
    made: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
        "generator folder": (seeds.generator, lambda folder: read_generator(folder / "model")),
        "reward folder": (seeds.reward, lambda folder: read_reward_folder(folder / "model")),
        "items folder": (seeds.items, lambda folder: FixedItems.load(folder / "model")),
    }
    files = ("model/config.json", "model/model.safetensors")
    return {
        **{name: Reader(make, (*files, "model/manifest.json"), read) for name, (make, read) in made.items()},
        **{
            f"{name}, vouched": Reader(make, files, read, vouched=True) for name, (make, read) in made.items()
        },
    }


def _checkpoints() -> dict[str, Reader]:
    """Other projects' checkpoints of every family: damaged bytes, and recognised keys with odd values."""
    found = {}
    for family in seeds.GENERATORS:
        make, read = seeds.official_generator(family), checkpoint(read_official)
        found[family] = Reader(make, ("*.ckpt", "*.pt", "*.pth", "*.tar", "args.json", "config.yml"), read)
        found[f"{family}, shapes"] = Reader(make, ("*.ckpt", "*.pt", "*.pth", "*.tar"), read, shapes=True)
    for family, make in seeds.REWARDS.items():
        read = checkpoint(read_reward)
        found[family] = Reader(make, ("*.ckpt", "*.pth", "Mean*.npy"), read)
        found[f"{family}, shapes"] = Reader(make, ("*.ckpt", "*.pth"), read, shapes=True)
    return found


READERS: dict[str, Reader] = {
    "npy": Reader(seeds.npy, ("*",), motions),
    "npz": Reader(seeds.npz, ("*",), motions),
    "safetensors": Reader(seeds.safetensors, ("*",), motions),
    "bvh": Reader(seeds.bvh, ("*",), motions),
    "pickled motions": Reader(seeds.pickled, ("*",), motions),
    "body models": Reader(seeds.bodies, ("*",), motions),
    "tar archive": Reader(seeds.tar, ("*",), archive),
    "captions": Reader(seeds.captions, ("*",), captions),
    "splits": Reader(seeds.splits, ("*",), lambda folder: read_splits(folder / "splits.csv", "split")),
    "cuts": Reader(seeds.cuts, ("*",), lambda folder: read_cuts(folder / "cuts.csv")),
    "pairs": Reader(seeds.pairs, ("*",), lambda folder: read_pairs(folder / "pairs.jsonl", ["joints"])),
    "prompts": Reader(seeds.prompts, ("*",), lambda folder: read_prompts(folder / "prompts.txt")),
    "joint map": Reader(seeds.joint_map, ("*",), lambda folder: read_joint_map(folder / "map.yaml")),
    "preset": Reader(
        seeds.preset, ("*",), lambda folder: resolve(FinetunePreset, str(folder / "p.yaml"), environment={})
    ),
    "data set": Reader(seeds.data_set, ("*.txt", "*.json", "*.csv", "*.npy", "*/*"), data_set),
    "existing data set": Reader(seeds.data_set, ("*.txt", "*/*"), check_dataset),
    "data set in shards": Reader(seeds.sharded, ("shards.json", "shards/*", "train.txt"), data_set),
    "existing data set in shards": Reader(seeds.sharded, ("shards.json", "shards/*"), check_dataset),
    "shard": Reader(seeds.sharded, ("shards/*",), lambda folder: motions(folder / "shards")),
    "statistics": Reader(seeds.data_set, ("*.npy",), Statistics.load),
    "run": Reader(seeds.run, ("run/*", "run/checkpoints/*/*"), run_state),
    "run, vouched": Reader(seeds.run, ("run/checkpoints/*/*.json",), run_state, vouched=True),
    "results": Reader(seeds.results, ("*",), results),
    "ratings": Reader(
        seeds.ratings, ("*",), lambda folder: read_ratings([folder / "rating.json"], folder / "key.json")
    ),
    "guo evaluator": Reader(seeds.guo, ("t2m/*/*/*", "glove/*"), lambda folder: load_guo(folder / "t2m")),
    **_models(),
    **_checkpoints(),
}


def plain_names() -> str:
    """The table of readers as `--list` prints it."""
    return json.dumps(list(READERS), indent=1)
