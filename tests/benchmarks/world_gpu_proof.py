"""The proof on the wider world on one GPU: every method beside supervised tuning, three training seeds each.

    python -m tests.benchmarks.world_gpu_proof kit --data build/world/joined --out build/world/kit      # once, anywhere
    python -m tests.benchmarks.world_gpu_proof proof --kit build/world/kit --data build/world/joined \\
        --bases builtin-world build/world/base/generator --out gpu-results --seconds 300

The kit holds what is tuned on and who judges; `joined` is the data set without its equally long groups (lists as
`world_gpu.plain_lists` writes them), so that no prompt is a caption of theirs. Of several bases the one with the higher
event score on validation prompts is tuned. Every run has the same wall time, side by side with as many others; it is
judged on test prompts and items with five sampling seeds. One JSON file, written after every part; runs that do not
begin before the time is over are left out by name.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from motionrft.reward.opposites import unsaid
from tests.benchmarks.side_by_side import Parts
from tests.benchmarks.world import COMMON, CONTRAST, FEW, MANY, summary, table, write_prompts
from tests.benchmarks.world_judges import Judges

PROMPTS = "prompts.txt"
VALIDATION, TEST = 80, 45
"""Event prompts of each kind."""
SEEDS = (1, 2, 3)
"""Of training."""
WEIGHTS = {"semantic": 1.0, "similarity": 1.0, CONTRAST: 3.0, "jitter": 0.001, "foot_skating": 0.2}
NO_PHYSICS = {name: weight for name, weight in WEIGHTS.items() if name not in ("jitter", "foot_skating")}
"""For noisy states, whose jitter is their noise."""


def run(method: str, rate: float, warmup: Mapping[str, float] = MANY, **more: Any) -> dict[str, Any]:
    """Settings of one run; `k`, `rho` and so on are the method's."""
    own = {key: more.pop(key) for key in ("k", "rho", "judge", "clip") if key in more}
    settings = {"method": {"method": method} | own, "optimiser": {"lr": rate} | warmup}
    return {**settings, "batch": 64, "weights": WEIGHTS, **more}


RUNS: dict[str, dict[str, Any]] = {
    "easytune": run("easytune", 3e-5, k=10, rho=0),
    "easytune-chain": run("easytune-chain", 3e-5, k=10, rho=0),
    "sft": run("sft", 1e-4, weights=COMMON["weights"], split="train-joined"),
    "refl": run("refl", 1e-4, FEW),
    "draft": run("draft", 1e-4, FEW, k=5),
    "drtune": run("drtune", 1e-4, FEW),
    "alignprop": run("alignprop", 1e-4, FEW),
    "ddpo": run("ddpo", 1e-4, FEW, clip=0.01, eta=1.0),
    "easytune, clean half": run("easytune", 3e-5, k=5, rho=0),
    "easytune, curriculum": run("easytune", 3e-5, k=5, rho=0.4),
    "easytune, noisy half": run("easytune", 3e-5, k=5, rho=1.0),
    "easytune, next state": run("easytune", 3e-5, k=10, rho=0, judge="next", weights=NO_PHYSICS),
}
"""In the order in which they begin; rates as earlier tables chose them on validation."""


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
        said = {"data": str(options.data)} if learns else {"prompts": str(options.kit / PROMPTS)}
        values = COMMON | {"generator": str(options.base), "reward": str(options.reward), **said}
        values |= {"seed": options.seed, "time_limit": options.seconds, **settings}
        out = options.work / options.name
        # On a processor its own time counts, whoever else is busy; on a GPU all run side by side.
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        with patch("time.perf_counter", clock):
            done = finetune(FinetunePreset.of(values, options.name), FinetuneSession(out, device))
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
    tuned = load_generator(generator, str(device))
    row["metrics"] = {
        split: measured(tuned, Judges.load(options.kit / split), range(int(seeds)), judge=options.judge)
        for split, seeds in (each.split(":") for each in options.judged.split(","))
    }
    row |= {"judged in": round(time.time() - began, 1), "settings": settings}
    row["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    (options.work / f"{options.name}.json").write_text(json.dumps(row))


def texts(options: argparse.Namespace) -> None:
    """What the kit's prompts say, into the cache on disk: the trials begin together, and each would encode them."""
    from motionrft.text.loading import load_text_encoder

    lines = (options.kit / PROMPTS).read_text(encoding="utf-8").splitlines()
    said = {line.partition(" ")[2] for line in lines}
    for split in ("val", "test"):
        judges = Judges.load(options.kit / split)
        said |= {prompt.text for prompt in judges.prompts}
        said |= {caption.text for item in judges.items.items for caption in item.captions}
        said |= {text for several in judges.others.values() for text in several}
    said |= {other for text in tuple(said) for other in unsaid(text)}
    load_text_encoder("minilm", device=options.device).remember(["", *sorted(said)])


def start(
    parts: Parts,
    options: argparse.Namespace,
    name: str,
    settings: Mapping[str, Any],
    judged: str,
    base: Path | str,
    seconds: float = 0.0,
    seed: int = 0,
    kept: bool = False,
) -> None:
    """Begin a trial; its generator is packed too if it is to be kept."""
    command = [sys.executable, "-m", "tests.benchmarks.world_gpu_proof", "trial", "--name", name]
    command += ["--settings", json.dumps(settings), "--judged", judged, "--base", str(base)]
    for option in ("reward", "kit", "work", "device", "data", "judge"):
        command += [f"--{option}", str(getattr(options, option))]
    model = options.work / name / "generator" if kept else None
    parts.start(name, [*command, "--seconds", str(seconds), "--seed", str(seed)], 1, model=model)


def results(options: argparse.Namespace, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of the trials that came to an end."""
    paths = {name: options.work / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def score(row: Mapping[str, Any], split: str) -> dict[str, float]:
    """Means over sampling seeds."""
    return {key: fmean(values) for key, values in row["metrics"][split].items()}


def chosen(parts: Parts, options: argparse.Namespace) -> str:
    """The base with the highest event score on validation prompts; of one nothing is asked."""
    bases = [base for base in options.bases if base == "builtin-world" or Path(base, "config.json").is_file()]
    names = {f"base-{place}": base for place, base in enumerate(bases)}
    if len(bases) > 1:
        for name, base in names.items():
            start(parts, options, name, {}, "val:2", base)
        parts.wait(*names)
    rows = results(options, names)
    parts.tell("bases", {names[name]: score(row, "val") for name, row in rows.items()})
    best = max(rows, key=lambda name: score(rows[name], "val")["events/mean"], default="base-0")
    parts.tell("chosen", {"base": names[best]})
    return names[best]


def proof(options: argparse.Namespace) -> None:
    began = time.time()
    parts = Parts(options.out, options.work, began + options.seconds)
    command = [sys.executable, "-m", "tests.benchmarks.world_gpu_proof", "texts", "--kit", str(options.kit)]
    parts.start("kit-texts", [*command, "--device", options.device], 4)
    parts.wait("kit-texts")
    base = chosen(parts, options)
    judged = "test:1" if options.smoke else "test:5"
    runs = dict(list(RUNS.items())[: 3 if options.smoke else None])
    jobs = [
        (f"{name.replace(', ', '-').replace(' ', '-')}-{seed}", name, seed) for name in runs for seed in SEEDS
    ]
    start(parts, options, "before", {}, judged, base)
    jobs = jobs[: 2 if options.smoke else None]
    for first in range(0, len(jobs), options.side_by_side):
        wave = jobs[first : first + options.side_by_side]
        if parts.left < options.tuning + options.judging and not options.smoke:
            parts.tell("left out", {label: "no time" for label, _, _ in wave})
            continue
        for label, name, seed in wave:
            kept = label == jobs[0][0]
            start(parts, options, label, runs[name], judged, base, options.tuning, seed, kept)
        parts.wait("before", *(label for label, _, _ in wave))
        _tell(parts, options, jobs)
    parts.tell("all", {"seconds": round(time.time() - began, 1)})


def _tell(parts: Parts, options: argparse.Namespace, jobs: Sequence[tuple[str, str, int]]) -> None:
    """Every run that ended so far, and the table of them."""
    rows = results(options, ("before", *(label for label, _, _ in jobs)))
    parts.tell("runs", rows)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for label, name, _ in jobs:
        if label in rows:
            found.setdefault(name, []).append(rows[label])
    if "before" in rows:
        metrics = {name: [row["metrics"]["test"] for row in several] for name, several in found.items()}
        shown = summary({"before": [rows["before"]["metrics"]["test"]]} | metrics)
        parts.tell("summary", shown)
        print(table(shown, found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kit", "texts", "proof", "trial"))
    parser.add_argument(
        "--data",
        type=Path,
        help="kit: a data set without equally long groups; proof: any of --preset world with `train-joined.txt`",
    )
    parser.add_argument("--kit", type=Path)
    parser.add_argument(
        "--bases", nargs="+", default=["builtin-world"], help="proof: the best of them is tuned"
    )
    parser.add_argument("--base", default="builtin-world", help="trial: what is tuned")
    parser.add_argument("--reward", default="builtin-world")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/world-proof"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--judge", default="", help="trial: a further evaluator that tells order and number")
    parser.add_argument("--seconds", type=float, default=300.0, help="proof: in all; trial: of tuning")
    parser.add_argument("--tuning", type=float, default=45.0, help="seconds of a run")
    parser.add_argument("--judging", type=float, default=70.0, help="seconds of its start, end and judgement")
    parser.add_argument("--side-by-side", type=int, default=18, help="runs at once")
    parser.add_argument("--name")
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--judged", default="val:3", help="splits and sampling seeds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="two runs, one sampling seed")
    options = parser.parse_args()
    {"kit": kit, "texts": texts, "proof": proof, "trial": trial}[options.what](options)


if __name__ == "__main__":
    main()
