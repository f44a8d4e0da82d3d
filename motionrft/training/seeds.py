"""One seed per item: the result of a prompt depends on no batch size, order or worker."""

import hashlib
import random

import numpy
import torch


def item_seed(seed: int, *keys: int | str) -> int:
    """A 63-bit seed from a seed and what names the item, the same in every process and on every machine."""
    digest = hashlib.blake2b(digest_size=8)
    for key in (seed, *keys):
        data = f"{'s' if isinstance(key, str) else 'i'}{key}".encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest(), "little") >> 1


def generator_for(seed: int, *keys: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for one item: `torch.randn(..., generator=generator_for(seed, prompt, 3))`."""
    return torch.Generator(device=device).manual_seed(item_seed(seed, *keys))


def seed_everything(seed: int) -> None:
    """Seed the global generators of python, numpy and torch (all devices)."""
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def global_random_state() -> dict[str, object]:
    """The state of every global generator, as `motionrft.training.state` can write it."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": numpy.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore_global_random_state(state: dict) -> None:
    """Put every global generator back. CUDA states are skipped where the number of devices has changed."""
    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
