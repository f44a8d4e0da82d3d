"""The commands that are killed: what they need, how they are called again, and what they must have made in the end."""

import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from motionrft.preferences.chat import KEY, URL
from motionrft.registry import TEXT_ENCODERS
from tests.fuzz import seeds
from tests.generators.families import WordEncoder
from tests.preferences.killed import small_prefer
from tests.preferences.serving import Server
from tests.preferences.test_validation import acted_data
from tests.representations.people import people

SMALL_TUNING = ("--batch", "2", "--steps", "6", "--set", "method.k=3", "--set", "checkpoint_every=3")
UNWATCHED = ("--set", "watch.every=0", "--set", "evaluation.prompts=0", "--updates", "24")


@dataclass(frozen=True)
class Command:
    """scene: writes what is needed and returns the words, without --out. again: what is added when it is called after a
    kill. made: globs below --out of the files that must be the same as those of a run that nobody killed.
    """

    scene: Callable[[Path], list[str]]
    again: str
    made: tuple[str, ...]


def _finetune(place: Path) -> list[str]:
    return ["finetune", "--method", "easytune", *SMALL_TUNING, *UNWATCHED]


def _data(place: Path) -> Path:
    """Six clips to train on and two to validate."""
    folder = place / "data"
    folder.mkdir()
    seeds.data_set(folder)
    names = [f"c{number}" for number in range(8)]
    draws = np.random.default_rng(0)
    for name in names:
        noise = draws.normal(scale=0.01, size=(23, 263)).astype(np.float32)
        np.save(folder / "new_joint_vecs" / f"{name}.npy", seeds.features() + noise)
        np.save(folder / "new_joints" / f"{name}.npy", seeds.joints()[:23])
        (folder / "texts" / f"{name}.txt").write_text(f"a person walks {name}##0.0#0.0\n")
    (folder / "index.csv").unlink()
    (folder / "train.txt").write_text("\n".join(names[:6]) + "\n")
    (folder / "val.txt").write_text("\n".join(names[6:]) + "\n")
    return folder


def _pretrain(place: Path) -> list[str]:
    autoencoder = {"kind": "convolutional", "features": 263, "width": 4, "hidden": 16, "levels": 2}
    settings = {
        "data": str(_data(place)),
        "stage": "autoencoder",
        "generator": {"family": "mld", "autoencoder": autoencoder},
        "autoencoder": {"updates": 200, "batch": 4, "window": 16},
        "checkpoint_every": 9,
    }
    (place / "preset.yaml").write_text(yaml.safe_dump(settings))
    return ["pretrain", "--preset", str(place / "preset.yaml")]


def _train_reward(place: Path) -> list[str]:
    words = ["train-reward", "--preset", "mini", "--stage", "semantic", "--data", str(_data(place))]
    values = ("updates=30", "batch=2", "validate_every=10")
    small = ("width=16", "latent=16", "projection_hidden=16", "representations=[kinematic]")
    settings = ["checkpoint_every=4", *(f"semantic.{value}" for value in values)]
    settings += [f"model.{value}" for value in small]
    return [*words, *(word for setting in settings for word in ("--set", setting))]


def _dataset(place: Path) -> list[str]:
    (place / "in").mkdir()
    clips = [f"clip {number}" for number in range(8)]
    with tarfile.open(place / "in.tar.gz", "w:gz") as archive:
        for number, clip in enumerate(clips):
            np.save(place / "in" / f"{clip}.npy", people(40, number)[0].float().numpy())
            archive.add(place / "in" / f"{clip}.npy", f"in/{clip}.npy")
    rows = [json.dumps({"clip_id": clip, "captions": ["a person walks"]}) for clip in clips]
    (place / "captions.jsonl").write_text("\n".join(rows))
    (place / "splits.csv").write_text("clip_id,split\n" + "".join(f"{clip},train\n" for clip in clips))
    words = ["convert", str(place / "in.tar.gz"), "--dataset", "--captions", str(place / "captions.jsonl")]
    return [*words, "--splits", str(place / "splits.csv")]


def _eval(place: Path) -> list[str]:
    (place / "motions").mkdir()
    for number in range(24):
        np.save(place / "motions" / f"{number}.npy", people(60, number)[0].float().numpy())
    return ["eval", "physics", "--motions", str(place / "motions")]


def _prefer(place: Path) -> list[str]:
    """Prompts and judgements by a server of this process, which its children ask; drawn sheets and all."""
    server = Server()
    os.environ[URL], os.environ[KEY] = server.url, "key"
    TEXT_ENCODERS.added.setdefault("words", (lambda path, device: WordEncoder(), "of the tests"))
    (place / "acted").mkdir()
    return small_prefer(place, acted_data(place / "acted"))


COMMANDS = {
    "finetune": Command(_finetune, "--resume", ("generator/*.safetensors", "metrics.jsonl")),
    "pretrain": Command(
        _pretrain, "--resume", ("autoencoder/model/*.safetensors", "autoencoder/metrics.jsonl")
    ),
    "train-reward": Command(_train_reward, "--resume", ("reward/*.safetensors", "semantic/metrics.jsonl")),
    "convert --dataset": Command(_dataset, "--overwrite", ("**/*.npy", "*.txt", "*.csv", "*.json")),
    "prefer": Command(_prefer, "--resume", ("*.jsonl", "judge.json", "candidates/*.npz", "motions/*.npz")),
    "convert --dataset, shards": Command(
        lambda place: [*_dataset(place), "--set", "layout=shards"],
        "--overwrite",
        ("shards/*", "*.npy", "*.txt", "*.csv", "*.json"),
    ),
    "eval": Command(_eval, "--overwrite", ("table.*", "result.json")),
}
