"""A small data set of moving people in every representation, and pre-training presets shrunk to a test's size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from motionrft.pretraining.preset import PretrainPreset
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS, KINEMATIC, ROTATION
from motionrft.representations.statistics import Statistics
from motionrft.settings.layers import resolve
from tests.generators.families import TEXT_WIDTH
from tests.representations.people import rotations

FOLDERS = {KINEMATIC: "new_joint_vecs", JOINTS: "new_joints", ROTATION: "rotations"}
SPLITS = {"train": 8, "val": 3}


def write_people(root: Path, representations: Sequence[str] = tuple(FOLDERS)) -> Path:
    """A folder in HumanML3D's layout: clips of 41 to 51 frames at 20 fps, with the statistics of each representation."""
    (root / "texts").mkdir(parents=True)
    clips: dict[str, list[torch.Tensor]] = {name: [] for name in representations}
    for split, count in SPLITS.items():
        names = [f"{split}{n}" for n in range(count)]
        (root / f"{split}.txt").write_text("\n".join(names))
        for n, name in enumerate(names):
            turned = rotations(41 + n % 3 * 5, seed=n + 100 * (split == "val")).float()
            (root / "texts" / f"{name}.txt").write_text(f"{'left' if n % 2 else 'both'} hand##0.0#0.0\n")
            for representation, made in clips.items():
                clip = convert(turned, ROTATION, representation)[0]
                made.append(clip)
                (root / FOLDERS[representation]).mkdir(exist_ok=True)
                np.save(root / FOLDERS[representation] / f"{name}.npy", clip.numpy())
    for representation, made in clips.items():
        Statistics.of_clips(made, representation).save(root, representation)
    return root


_STACK = ("layers=3", "heads=4", "feedforward=32")
_VAE = [f"generator.autoencoder.{setting}" for setting in ("hidden=16", *_STACK)]
_LATENT = [f"generator.denoiser.{setting}" for setting in ("hidden=16", f"text_width={TEXT_WIDTH}", *_STACK)]
_TEXT = [
    f"generator.text_layers.{setting}"
    for setting in (f"clip_width={TEXT_WIDTH}", "width=8", "layers=1", "feedforward=32")
]
_FRAMES = ("width=16", "layers=2", "heads=4", "feedforward=32", f"text_width={TEXT_WIDTH}")

_CONVOLUTIONAL = [
    "generator.autoencoder.hidden=16",
    *("generator.denoiser.layers=3", "generator.denoiser.hidden=16", "generator.denoiser.feedforward=32"),
    f"generator.denoiser.text_width={TEXT_WIDTH}",
]
SMALLER: dict[str, list[str]] = {
    "mini-mld": _CONVOLUTIONAL,
    "world-mld": _CONVOLUTIONAL,
    "mld": [
        *("generator.autoencoder.kind=transformer", *_VAE),
        *("generator.denoiser.latent_width=16", *_LATENT),
    ],
    "mldpp": [
        *("generator.autoencoder.tokens=4", "generator.autoencoder.width=8", *_VAE),
        *("generator.denoiser.latent_width=8", *_LATENT),
    ],
    "motionlcm": ["generator.denoiser.guidance_width=8"],
    "mdm": [f"generator.denoiser.{setting}" for setting in _FRAMES],
    "motiondiffuse": [
        *("generator.denoiser.width=16", "generator.denoiser.layers=2", "generator.denoiser.feedforward=32"),
        *("generator.denoiser.text_width=8", "generator.text_layers.pooled_width=64", *_TEXT),
    ],
    "stablemofusion": [
        *("generator.denoiser.widths=[16,16]", "generator.denoiser.time_width=16"),
        *("generator.denoiser.text_width=8", *_TEXT),
    ],
    "acmdm": [
        *("generator.autoencoder.width=8", "generator.autoencoder.depth=2", "autoencoder.window=32"),
        *("generator.denoiser.width=64", "generator.denoiser.layers=2", "generator.denoiser.heads=1"),
        f"generator.denoiser.text_width={TEXT_WIDTH}",
    ],
    "hymotion": [
        *("generator.denoiser.width=16", "generator.denoiser.layers=3", "generator.denoiser.heads=2"),
        *(f"generator.denoiser.{name}_width={TEXT_WIDTH}" for name in ("token", "sentence")),
    ],
    "mini-kimodo": [
        *("generator.denoiser.width=16", "generator.denoiser.layers=2", "generator.denoiser.feedforward=32"),
        f"generator.denoiser.text_width={TEXT_WIDTH}",
    ],
    "mini-motiongpt": [
        *("generator.codes=16", "generator.code_width=4", "generator.vq_width=8", "generator.vq_depth=1"),
        *("generator.width=16", "generator.layers=1", f"generator.text_width={TEXT_WIDTH}"),
        "autoencoder.settle=2",
        *("language_model.composed=6", "language_model.validate_every=2"),
    ],
}
"""Name of a pretrain preset -> the `--set` arguments that make its networks tiny."""


def tiny(name: str, data: Path, updates: int, *settings: str) -> PretrainPreset:
    """A shipped preset at tiny size: its own objective and settings, few updates of small batches."""
    few = [
        f"{stage}.{key}"
        for stage in ("autoencoder", "denoiser", "language_model")
        for key in (f"updates={updates}", "batch=4")
    ]
    always = ["min_frames=16", "denoiser.validate_every=2", "checkpoint_every=2", f"data={data}"]
    return resolve(PretrainPreset, name, [*SMALLER[name], *few, *always, *settings], environment={})
