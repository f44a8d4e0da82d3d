"""A small data set in three representations, a text encoder without weights, and a small reward."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data import MotionDataset, kept_statistics
from motionrft.registry import TEXT_ENCODERS
from motionrft.representations.convert import convert
from motionrft.representations.statistics import Statistics
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.sizes import RewardSize
from motionrft.text import loading
from motionrft.text.base import TextEncoder, TextFeatures

KINDS = ("walk/old", "walk/young", "wave/old", "wave/young")
CLIPS = 8


class WordVectors(TextEncoder):
    """Each word is a fixed random vector: enough for captions to differ."""

    name, identity, width, pooled_width = "minilm", "words", 24, 24

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        words = [text.split() or [""] for text in texts]
        longest = max(len(row) for row in words)
        tokens = torch.zeros(len(words), longest, self.width)
        mask = torch.zeros(len(words), longest, dtype=torch.bool)
        for row, line in enumerate(words):
            for place, word in enumerate(line):
                seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
                tokens[row, place] = torch.randn(self.width, generator=torch.Generator().manual_seed(seed))
                mask[row, place] = True
        return TextFeatures(tokens, mask, tokens.sum(1) / mask.sum(1, keepdim=True))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def word_vectors(monkeypatch: pytest.MonkeyPatch, kept: Path) -> None:
    """Whatever asks for the built-in text encoder gets words without weights, and nothing in the user's cache."""
    monkeypatch.setitem(TEXT_ENCODERS.added, "minilm", (lambda path, device: WordVectors(), "a test"))
    monkeypatch.setattr(loading, "cache_folder", lambda: None)
    monkeypatch.setattr(kept_statistics, "cache_folder", lambda: kept)


def person(frames: int, speed: float, arm: float) -> torch.Tensor:
    """A stick person (frames, 22, 3), metres: walks along +Z at `speed` m/s and swings an arm `arm` metres high."""
    rest = torch.tensor(
        [
            (0, 0.9, 0),
            (0.1, 0.82, 0),
            (-0.1, 0.82, 0),
            (0, 1.0, 0),
            (0.1, 0.45, 0),
            (-0.1, 0.45, 0),
            (0, 1.15, 0),
            (0.1, 0.08, 0),
            (-0.1, 0.08, 0),
            (0, 1.2, 0),
            (0.1, 0.02, 0.12),
            (-0.1, 0.02, 0.12),
            (0, 1.45, 0),
            (0.08, 1.4, 0),
            (-0.08, 1.4, 0),
            (0, 1.6, 0),
            (0.18, 1.4, 0),
            (-0.18, 1.4, 0),
            (0.4, 1.3, 0),
            (-0.4, 1.3, 0),
            (0.6, 1.2, 0),
            (-0.6, 1.2, 0),
        ]
    )
    time = torch.arange(frames) / 20.0
    joints = rest.repeat(frames, 1, 1)
    joints[:, :, 2] += speed * time[:, None]
    joints[:, 21, 1] += arm * torch.sin(4.0 * time).abs()
    return joints


def motions_of(number: int) -> dict[str, torch.Tensor]:
    """One clip in the three representations, all of one length."""
    frames = 24 + 3 * number
    joints = person(frames + 1, 0.4 * (number % 4), 0.1 * (number % 3))[None]
    kinematic = convert(joints, "joints", "kinematic")
    canonical = convert(kinematic, "kinematic", "joints")
    rotation = convert(canonical, "joints", "rotation")
    return {"kinematic": kinematic[0], "joints": canonical[0], "rotation": rotation[0]}


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips of 24 to 45 frames, two of each kind; train, val and test are the same clips."""
    root = tmp_path_factory.mktemp("data") / "set"
    folders = {"kinematic": "new_joint_vecs", "joints": "new_joints", "rotation": "rotations"}
    for name in (*folders.values(), "texts"):
        (root / name).mkdir(parents=True)
    clips = [motions_of(number) for number in range(CLIPS)]
    rows = ["clip_id,content,style"]
    for number, clip in enumerate(clips):
        for representation, motion in clip.items():
            np.save(root / folders[representation] / f"{number:06d}.npy", motion.numpy())
        kind = KINDS[number % len(KINDS)]
        text = f"a person does {kind.replace('/', ' like ')} number {number}"
        (root / "texts" / f"{number:06d}.txt").write_text(f"{text}##0.0#0.0\n")
        rows.append(f"{number:06d},{kind.replace('/', ',')}")
    (root / "index.csv").write_text("\n".join(rows) + "\n")
    for split in ("train", "val", "test"):
        (root / f"{split}.txt").write_text("\n".join(f"{n:06d}" for n in range(CLIPS)) + "\n")
    for representation in folders:
        Statistics.of_clips([clip[representation] for clip in clips], representation).save(
            root, representation
        )
    (root / "dataset.json").write_text(json.dumps({"fps": 20.0, "source": "made up", "licence": "none"}))
    return root


@pytest.fixture
def dataset(data_folder: Path) -> MotionDataset:
    return MotionDataset(data_folder, "train")


@pytest.fixture
def checkpoints(tmp_path: Path, data_folder: Path) -> Path:
    """A folder with the statistics that published checkpoints lie beside."""
    for file in data_folder.glob("*.npy"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


SMALL = RewardSize(
    latent=16,
    width=32,
    heads=4,
    feedforward=48,
    text_heads=4,
    text_feedforward=40,
    projection_hidden=24,
    text_width=WordVectors.width,
    positions=60,
)


@pytest.fixture
def size() -> RewardSize:
    """A small network, stack 1, mode M1T0."""
    return SMALL


@pytest.fixture
def reward(dataset: MotionDataset, size: RewardSize) -> MotionReward:
    """A small reward with random weights that judges kinematic motions."""
    torch.manual_seed(0)
    statistics = {name: dataset.statistics(name) for name in size.representations}
    return MotionReward(MotionRewardNetwork(size), statistics, WordVectors())
