"""Our generators against straightforward ones of the same weights. Run: python -m tests.benchmarks.generators [--device
cuda]

Prints one JSON line a measurement: milliseconds of both, the ratio, the ratio asked for, and the largest difference of
their results (found with equal matrix products, MKL's, so that it shows what our short cuts change and not how two
libraries round). On the CPU one thread is timed by processor time, so that a busy machine does not disturb; on an AMD
processor a part of each ratio is oneDNN's (`motionrft/linear.py`): `--mkl` measures without it.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from motionrft.diffusion.rollout import Start
from motionrft.diffusion.rollout import sample as walk
from motionrft.generators import Condition, Generator, build_generator
from motionrft.generators.hymotion_network import HyMotionNetwork
from motionrft.linear import torch_products
from motionrft.text.base import TextFeatures
from tests.benchmarks.plain_generators import (
    plain_hymotion,
    plain_mdm_guidance,
    plain_mld_sampling,
    plain_motiondiffuse,
)

Call = Callable[[], Tensor]


@dataclass(frozen=True)
class Race:
    """Ours and the plain one on equal input; `wanted` is the ratio asked for, `within` the difference allowed."""

    ours: Call
    plain: Call
    wanted: float
    within: float


def noise(*shape: int, device: str) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(device)


def text(batch: int, tokens: int, width: int, device: str, pooled: int | None = None) -> TextFeatures:
    mask = torch.ones(batch, tokens, dtype=torch.bool, device=device)
    return TextFeatures(
        noise(batch, tokens, width, device=device),
        mask,
        None if pooled is None else noise(batch, pooled, device=device),
    )


def fresh(family: str, device: str, **settings: object) -> Generator:
    torch.manual_seed(0)
    return build_generator({"family": family, **settings}).to(device).eval()


def mld(device: str, batch: int = 32) -> Race:
    """50 DDIM steps of MLD v1 with guidance."""
    generator = fresh("mld", device)
    condition = Condition(text(batch, 1, 768, device), text(1, 1, 768, device))
    x, lengths = noise(batch, 1, 256, device=device), torch.full((batch,), 100, device=device)
    process = generator.process(50)
    return Race(
        lambda: walk(generator, process, Start(x, condition, lengths), 7.5),
        lambda: plain_mld_sampling(generator, x, condition, 50, 7.5),  # type: ignore[arg-type]
        wanted=1.5,
        within=1e-3,
    )


def mdm(device: str, batch: int = 1, frames: int = 80) -> Race:
    """One guided call of MDM."""
    generator = fresh("mdm", device)
    words = text(batch, 1, 512, device)
    condition = Condition(words, words)
    x, lengths = noise(batch, frames, 263, device=device), torch.full((batch,), frames, device=device)
    t = torch.full((batch,), 20, device=device)
    return Race(
        lambda: generator.predict(x, t[0], condition, lengths, 2.5),
        lambda: plain_mdm_guidance(generator, x, t, condition, 2.5),  # type: ignore[arg-type]
        wanted=1.3,
        within=1e-3,
    )


def motiondiffuse(device: str, batch: int = 8, frames: int = 80) -> Race:
    """One call of MotionDiffuse."""
    generator = fresh("motiondiffuse", device)
    clip = text(batch, 77, 512, device, pooled=512)
    condition = Condition(generator.text_layers(clip))
    x, lengths = noise(batch, frames, 263, device=device), torch.arange(frames - batch, frames, device=device)
    t = torch.full((batch,), 500, device=device)
    return Race(
        lambda: generator.predict(x, t, condition, lengths, 1.0),
        lambda: plain_motiondiffuse(generator, x, t, clip, lengths),  # type: ignore[arg-type]
        wanted=1.5,
        within=1e-3,
    )


def hymotion(device: str, frames: int = 120, tokens: int = 20) -> Race:
    """A six-layer HY-Motion on 120 frames and 20 tokens, against 360 and 128."""
    torch.manual_seed(0)
    network = HyMotionNetwork(width=512, layers=6, heads=8, token_width=1024).to(device).eval()
    x, words = noise(1, frames, 201, device=device), text(1, tokens, 1024, device, pooled=768)
    lengths, t = torch.tensor([frames], device=device), torch.tensor(0.3, device=device)
    mask = torch.ones(1, frames, dtype=torch.bool, device=device)
    return Race(
        lambda: network(x, t, words, mask),
        lambda: plain_hymotion(network, x, t, words, lengths),
        wanted=3.5,
        within=1e-6,
    )


RACES = {"mld": mld, "mdm": mdm, "motiondiffuse": motiondiffuse, "hymotion": hymotion}


def milliseconds(call: Call, device: str) -> float:
    """One call's time; processor time on the CPU."""
    if device == "cpu":
        start = time.process_time()
        call()
        return (time.process_time() - start) * 1e3
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


@torch.no_grad()
def measure(name: str, device: str, rounds: int) -> dict[str, object]:
    """Both run in turn, so that whatever disturbs disturbs both; the best round of each counts."""
    race = RACES[name](device)
    times = []
    with torch_products():
        difference = float((race.ours() - race.plain()).abs().max())
    for _ in range(rounds):
        ours = milliseconds(race.ours, device)
        with torch_products():
            times.append((ours, milliseconds(race.plain, device)))
    ours, plain = (min(column) for column in zip(*times))
    return {
        "measured": name,
        "device": device,
        "ours_ms": round(ours, 2),
        "plain_ms": round(plain, 2),
        "ratio": round(plain / ours, 2),
        "wanted": race.wanted,
        "difference": difference,
        "within": race.within,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *RACES])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mkl", action="store_true", help="Both with MKL's matrix products.")
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    with torch_products() if arguments.mkl else nullcontext():
        for name in arguments.names or RACES:
            print(json.dumps(measure(name, arguments.device, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
