"""What an evaluation costs once everything is embedded. Run: python -m tests.benchmarks.evaluation [--device cuda]

Prints one JSON line a measurement: seconds, and the budget on two cores.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch

from motionrft.data.captions import Caption
from motionrft.evaluation.items import Drawn
from motionrft.evaluation.measure import Measured
from motionrft.evaluation.metrics import Gaussian, frechet_distance, tmr_all
from motionrft.evaluation.numbers import generation_numbers, real_numbers
from motionrft.evaluation.result import collect
from motionrft.physics import MEASURES


def repetitions(items: int = 615, width: int = 512, repeats: int = 20) -> dict[str, list[float]]:
    """All numbers of generated and real motions, once a seed."""
    text, real, made = (
        torch.randn(items, width, generator=torch.Generator().manual_seed(s)) for s in range(3)
    )
    sides = {"hand": torch.zeros(items, dtype=torch.int64), "turn": torch.ones(items, dtype=torch.int64)}
    physics = {name: torch.rand(items) for name in MEASURES} | sides
    drawn = Drawn(
        tuple(map(str, range(items))),
        (Caption("a person turns left"),) * items,
        torch.full((items,), 100),
        torch.arange(items) % 60,
        torch.zeros(items, dtype=torch.int64),
        Measured(real, physics),
    )
    numbers = []
    for seed in range(repeats):
        numbers.append(generation_numbers(drawn, text, Measured(made, physics), seed))
        numbers.append(real_numbers(drawn, text, seed))
    return collect(numbers)


def fid(device: str, items: int = 4384, width: int = 512) -> float:
    """FID of the whole HumanML3D test set, both Gaussians fitted anew."""
    sides = [
        torch.randn(items, width, generator=torch.Generator().manual_seed(s)).to(device) for s in range(2)
    ]
    return frechet_distance(*(Gaussian.fit(side) for side in sides)).item()


def whole_set_retrieval(device: str, items: int = 4384) -> float:
    """TMR's first protocol on the whole test set."""
    similarity = torch.rand(items, items, generator=torch.Generator().manual_seed(0)).to(device)
    return tmr_all(similarity)["t2m/R01"].item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    measurements: list[tuple[str, float, Callable[[], object]]] = [
        ("20 repetitions, 615 clips, 512 wide, generated and real", 20.0, repetitions),
        ("FID, 4384 x 512", 3.0, lambda: fid(device)),
        ("retrieval, 4384 x 4384", 10.0, lambda: whole_set_retrieval(device)),
    ]
    for name, budget, work in measurements:
        start = time.perf_counter()
        work()
        print(json.dumps({"what": name, "seconds": round(time.perf_counter() - start, 3), "budget": budget}))


if __name__ == "__main__":
    main()
