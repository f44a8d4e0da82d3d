"""The proof on the wider world on one GPU: settings chosen on validation, then every method beside supervised tuning.

    python -m tests.benchmarks.world_gpu_proof kit --data build/world/data --out build/world/kit      # once, anywhere
    python -m tests.benchmarks.world_gpu_proof proof --kit build/world/kit --packed build/world/packed.tar.xz \\
        --base DIR --reward DIR --out gpu-results --seconds 340

The kit holds what is tuned on and who judges, so that only supervised tuning waits for the data set. All candidates are
tuned side by side for the same wall time, and judged on 80 event prompts of each kind and three sampling seeds; the best
EasyTune and the best supervised setting go on to three training seeds and the test prompts, and the other methods with
them. One JSON file, after every part.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.benchmarks.side_by_side import Parts
from tests.benchmarks.world import COMMON, CONTRAST, MANY, RUNS, summary, table, write_prompts
from tests.benchmarks.world_gpu import converted
from tests.benchmarks.world_judges import Judges

PROMPTS = "prompts.txt"
VALIDATION, TEST = 80, 45
"""Event prompts of each kind."""


def easytune(rate: float, batch: int = 64, **more: Any) -> dict[str, Any]:
    """Settings of one EasyTune candidate; `k`, `rho` and so on are the method's."""
    own = {"method": "easytune", "k": 10, "rho": 0}
    method = own | {key: more.pop(key) for key in ("method", "k", "rho", "judge") if key in more}
    return {"method": method, "optimiser": {"lr": rate} | MANY, "batch": batch, **more}


def weights(semantic: float, similarity: float, contrast: float) -> dict[str, float]:
    found = {"semantic": semantic, "similarity": similarity, CONTRAST: contrast}
    return {name: weight for name, weight in found.items() if weight}


CANDIDATES: dict[str, dict[str, Any]] = {
    "usual-1e-5": easytune(1e-5),
    "usual-3e-5": easytune(3e-5),
    "contrast-1e-5": easytune(1e-5, weights=weights(1, 1, 1)),
    "contrast-3e-5": easytune(3e-5, weights=weights(1, 1, 1)),
    "contrast-1e-4": easytune(1e-4, weights=weights(1, 1, 1)),
    "contrast-alone-3e-5": easytune(3e-5, weights=weights(0, 0, 1)),
    "contrast-guard-3e-5": easytune(3e-5, weights=weights(0, 1, 1)),
    "contrast-big-5e-5": easytune(5e-5, 256, weights=weights(1, 1, 1)),
    "contrast-noisy-3e-5": easytune(3e-5, k=5, rho=1.0, weights=weights(1, 1, 1)),
    "contrast-chain-3e-5": easytune(3e-5, method="easytune-chain", weights=weights(1, 1, 1)),
    "contrast-lora-3e-4": easytune(3e-4, weights=weights(1, 1, 1), lora={"enabled": True, "rank": 8}),
    "contrast-ema-1e-4": easytune(1e-4, weights=weights(1, 1, 1), ema=0.99),
}
CONTROLS: dict[str, dict[str, Any]] = {
    f"sft-{rate:g}": {"method": {"method": "sft"}, "optimiser": {"lr": rate} | MANY, "batch": 64}
    for rate in (3e-5, 1e-4, 3e-4)
}
OTHERS = ("refl", "draft", "drtune", "alignprop", "ddpo")
"""Beside the two, at the rates of `tests.benchmarks.world`."""
FINALISTS = (1, 2, 3)
"""Training seeds."""


def kit(options: argparse.Namespace) -> None:
    """What is tuned on and who judges; no event prompt of the one is among the others."""
    options.out.mkdir(parents=True, exist_ok=True)
    test = Judges.of(options.data, "test", TEST, 160)
    taken = {prompt.text for prompt in test.prompts}
    validation = Judges.of(options.data, "val", VALIDATION, 160, frozenset(taken))
    taken |= {prompt.text for prompt in validation.prompts}
    test.save(options.out / "test")
    validation.save(options.out / "val")
    write_prompts(options.out / PROMPTS, options.data, taken, (400, 400, 150))
    print(
        {
            kind: sum(p.kind == kind for p in validation.prompts)
            for kind in ("integrity", "temporal", "frequency")
        }
    )


def trial(options: argparse.Namespace) -> None:
    """Tune once and judge; without seconds the base is judged as it is."""
    import torch

    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession
    from motionrft.loading import load_generator
    from motionrft.training.run import METRICS, read_lines
    from tests.benchmarks.world_judges import measured

    torch.set_num_threads(1)
    settings, device = json.loads(options.settings), torch.device(options.device)
    generator, row = options.base, {}
    if options.seconds:
        learns = settings["method"]["method"] == "sft"
        said = (
            {"data": str(options.data), "split": "train"}
            if learns
            else {"prompts": str(options.kit / PROMPTS)}
        )
        graphs = "graphs" if device.type == "cuda" and settings["method"]["method"] in GRAPHED else False
        values = COMMON | {"generator": str(options.base), "reward": str(options.reward), "compile": graphs}
        values |= {**said, "seed": options.seed, "time_limit": options.seconds, **settings}
        out = options.work / options.name
        done = finetune(
            FinetunePreset.of(values, options.name), FinetuneSession(out, device, dtype=torch.bfloat16)
        )
        lines = read_lines(out / METRICS)
        terms = {
            key: [fmean(line[key] for line in part) for part in (lines[:20], lines[-20:])]
            for key in lines[0]
            if key.startswith("reward")
        }
        row = {"updates": done.outcome.step, "seconds": done.outcome.seconds, "terms": terms}
        row["bytes"] = max(line.get("graph_bytes") or 0 for line in lines)
        generator = out / "generator"
    began = time.time()
    judges = Judges.load(options.kit / options.split)
    row["metrics"] = measured(load_generator(generator, str(device)), judges, range(options.sampling_seeds))
    row |= {"judged in": round(time.time() - began, 1), "split": options.split, "settings": settings}
    row["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    (options.work / f"{options.name}.json").write_text(json.dumps(row))


GRAPHED = ("easytune", "easytune-chain", "refl")
"""Methods whose calls are captured: a chain through several calls is not (`captured`: chains False)."""


def start(
    parts: Parts,
    options: argparse.Namespace,
    name: str,
    settings: Mapping[str, Any],
    split: str,
    seconds: float,
    seed: int,
    sampling: int,
) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.world_gpu_proof", "trial", "--name", name]
    command += [
        "--settings",
        json.dumps(settings),
        "--split",
        split,
        "--seconds",
        str(seconds),
        "--seed",
        str(seed),
    ]
    for option in ("base", "reward", "kit", "work", "device", "data"):
        command += [f"--{option}", str(getattr(options, option))]
    parts.start(name, [*command, "--sampling-seeds", str(sampling)], 1)


def result(options: argparse.Namespace, name: str) -> dict[str, Any] | None:
    path = options.work / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def score(row: Mapping[str, Any]) -> dict[str, float]:
    """Means over sampling seeds."""
    return {key: fmean(values) for key, values in row["metrics"].items()}


def best(options: argparse.Namespace, names: list[str], before: Mapping[str, float]) -> str | None:
    """The highest event score of both rules on validation among those that cost nothing else."""
    allowed: dict[str, float] = {}
    for name in names:
        row = result(options, name)
        if row is None:
            continue
        found = score(row)
        harm = found["fid"] > before["fid"] + 0.02 or found["label_r1"] < before["label_r1"] - 0.02
        if not harm and found["events/jitter"] < 1.15 * before["events/jitter"]:
            allowed[name] = found["events/mean"] + found["swings/mean"]
    return max(allowed, key=lambda name: allowed[name], default=None)


def proof(options: argparse.Namespace) -> None:
    began = time.time()
    parts = Parts(options.out, options.work, began + options.seconds)
    os.environ["MOTIONRFT_CONTRAST"] = str(options.reward)
    candidates = dict(list(CANDIDATES.items())[: options.candidates])
    start(parts, options, "before-val", {}, "val", 0, 0, 3)
    for name, settings in candidates.items():
        start(parts, options, name, settings, "val", options.tuning, 10, 3)
    if not (options.data / "dataset.json").is_file():
        converted(parts, options.packed, options.data, 8, {})
    for name, settings in CONTROLS.items():
        start(parts, options, name, settings, "val", options.tuning, 10, 3)
    parts.wait("before-val", *candidates, *CONTROLS)
    told = {name: result(options, name) for name in ("before-val", *candidates, *CONTROLS)}
    parts.tell("validation", told)
    if told["before-val"] is None:
        parts.logs()
        return
    before = score(told["before-val"])
    chosen = {
        "easytune": best(options, list(candidates), before),
        "sft": best(options, list(CONTROLS), before),
    }
    parts.tell("chosen", chosen)
    _finals(parts, options, chosen)
    parts.tell("all", {"seconds": round(time.time() - began, 1)})
    parts.logs()


def _finals(parts: Parts, options: argparse.Namespace, chosen: Mapping[str, str | None]) -> None:
    """Test: the two finalists for as long as is left, and the other methods with them."""
    known = {**CANDIDATES, **CONTROLS}
    runs = {name: known[setting] for name, setting in chosen.items() if setting is not None}
    runs |= {name: {**RUNS[name], "batch": 64} for name in OTHERS}
    seconds = min(parts.left - options.judging, options.longest)
    start(parts, options, "before-test", {}, "test", 0, 0, 5)
    names = {name: [f"{name}-test-{seed}" for seed in FINALISTS] for name in runs}
    for name, settings in runs.items():
        for seed, each in zip(FINALISTS, names[name], strict=True):
            start(parts, options, each, settings, "test", max(seconds, 3), seed, 5)
    every = [each for several in names.values() for each in several]
    parts.wait("before-test", *every)
    rows = {name: result(options, name) for name in ("before-test", *every)}
    parts.tell("test", rows)
    found = {name: [rows[each] for each in several if rows[each]] for name, several in names.items()}
    if rows["before-test"]:
        metrics = {name: [row["metrics"] for row in several] for name, several in found.items() if several}
        shown = summary({"before": [rows["before-test"]["metrics"]]} | metrics)
        parts.tell("summary", shown)
        print(table(shown, found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kit", "proof", "trial"))
    parser.add_argument(
        "--data", type=Path, help="the converted data set; proof: made of --packed where there is none"
    )
    parser.add_argument("--packed", type=Path)
    parser.add_argument("--kit", type=Path)
    parser.add_argument("--base", default="builtin-world")
    parser.add_argument("--reward", default="builtin-world")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/world-proof"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=340.0, help="proof: in all; trial: of tuning")
    parser.add_argument("--tuning", type=float, default=50.0, help="seconds of a candidate")
    parser.add_argument("--longest", type=float, default=90.0, help="seconds of a finalist")
    parser.add_argument(
        "--judging", type=float, default=60.0, help="seconds from a finalist's start and end to its score"
    )
    parser.add_argument("--candidates", type=int, default=len(CANDIDATES))
    parser.add_argument("--name")
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sampling-seeds", type=int, default=3)
    options = parser.parse_args()
    options.data = options.data or options.work / "data"
    {"kit": kit, "proof": proof, "trial": trial}[options.what](options)


if __name__ == "__main__":
    main()
