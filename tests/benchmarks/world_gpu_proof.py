"""The proof on the wider world on one GPU: a base at its plateau, and every method beside supervised tuning.

    python -m tests.benchmarks.world_gpu_proof kit --data build/world/data --out build/world/kit      # once, anywhere
    python -m tests.benchmarks.world_gpu_proof proof --kit build/world/kit --data build/world/data \\
        --autoencoder DIR --reward DIR --out gpu-results --seconds 355

The kit holds what is tuned on and who judges. EasyTune's candidates are tuned side by side from `builtin-world` for
the same wall time, and judged on 80 validation event prompts of each kind and three sampling seeds; meanwhile the base,
a reward and an evaluator are trained; then the two best candidates, supervised tuning and the other methods are tuned
from that base side by side, and judged on validation and test prompts. One JSON file, after every part.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from motionrft.reward.opposites import unsaid
from tests.benchmarks.side_by_side import Parts, motionrft
from tests.benchmarks.world import COMMON, CONTRAST, MANY, RUNS, summary, table, write_prompts
from tests.benchmarks.world_gpu import plain_lists
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
    "contrast-3e-5": easytune(3e-5, weights=weights(1, 1, 1)),
    "strong-3e-5": easytune(3e-5, weights=weights(1, 1, 3)),
    "strong-1e-4": easytune(1e-4, weights=weights(1, 1, 3)),
    "guarded-3e-5": easytune(3e-5, weights=weights(0, 1, 3)),
    "big-5e-5": easytune(5e-5, 256, weights=weights(1, 1, 3)),
    "noisy-3e-5": easytune(3e-5, k=5, rho=1.0, weights=weights(1, 1, 3)),
    "chain-3e-5": easytune(3e-5, method="easytune-chain", weights=weights(1, 1, 3)),
    "lora-3e-4": easytune(3e-4, weights=weights(1, 1, 3), lora={"enabled": True, "rank": 8}),
    "usual-3e-5": easytune(3e-5),
}
"""contrast: beside semantic and similarity as much of the contrast; strong: three times as much; guarded: no semantic."""
SUPERVISED: dict[str, Any] = {"method": {"method": "sft"}, "batch": 64}
CONTROLS: dict[str, dict[str, Any]] = {
    "sft 3e-5": {**SUPERVISED, "optimiser": {"lr": 3e-5} | MANY, "split": "train-joined"},
    "sft 1e-4": {**SUPERVISED, "optimiser": {"lr": 1e-4} | MANY, "split": "train-joined"},
    "sft-even 1e-4": {**SUPERVISED, "optimiser": {"lr": 1e-4} | MANY, "split": "train"},
}
"""Supervised tuning on the base's own clips, and on those and the equally long groups that the reward learnt from."""
OTHERS = ("refl", "draft", "drtune", "alignprop", "ddpo")
"""Beside them, at the rates of `tests.benchmarks.world`, one training seed each."""
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
    seconds: float = 0.0,
    seed: int = 0,
    base: Path | str = "builtin-world",
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


def ranked(rows: Mapping[str, Mapping[str, Any]], before: Mapping[str, float]) -> list[str]:
    """By the event score of both rules on validation; behind them those that cost kinds, FID or quiet."""

    def place(name: str) -> tuple[bool, float]:
        found = score(rows[name], "val")
        harm = found["fid"] > before["fid"] + 0.02 or found["label_r1"] < before["label_r1"] - 0.02
        harm |= found["events/jitter"] > 1.15 * before["events/jitter"]
        return not harm, found["events/mean"] + found["swings/mean"]

    return sorted(rows, key=place, reverse=True)


def proof(options: argparse.Namespace) -> None:
    began = time.time()
    parts = Parts(options.out, options.work, began + options.seconds)
    command = [sys.executable, "-m", "tests.benchmarks.world_gpu_proof", "texts", "--kit", str(options.kit)]
    parts.start("kit-texts", [*command, "--device", options.device], 4)
    candidates = dict(list(CANDIDATES.items())[: options.candidates])
    parts.wait("kit-texts")
    judged = "val:1" if options.smoke else "val:3"
    start(parts, options, "before-val", {}, judged)
    for name, settings in candidates.items():
        start(parts, options, name, settings, judged, options.tuning, 10)
    while not options.ready.exists() and parts.left > options.seconds / 2:
        time.sleep(0.5)
    parts.tell("ready", {"after": round(time.time() - began, 1)})
    models = _train(parts, options)
    parts.wait("before-val", *candidates)
    rows = results(options, ("before-val", *candidates))
    parts.tell("validation", rows)
    chosen = list(candidates)[:2]
    if "before-val" in rows:
        before = score(rows.pop("before-val"), "val")
        chosen = ranked(rows, before)[:2] or chosen
    parts.tell("chosen", {"names": chosen})
    parts.wait("base")
    parts.tell("trained", {"after": round(time.time() - began, 1), "curve": curve(options.work / "base")})
    _finals(parts, options, chosen, models)
    parts.wait("judge", "reward")
    parts.tell("all", {"seconds": round(time.time() - began, 1)})


def _train(parts: Parts, options: argparse.Namespace) -> dict[str, Path]:
    """Begin to train, for as long as the finals leave: a base with a given autoencoder, a reward of all representations
    further, and an evaluator that tells order and number; their folders.
    """
    plain_lists(options.data)
    out, data, device = options.work, str(options.data), options.device
    (out / "base" / "autoencoder").mkdir(parents=True, exist_ok=True)
    copied = out / "base" / "autoencoder" / "model"
    subprocess.run(["cp", "-r", str(options.autoencoder), str(copied)], check=True)
    left = parts.left - options.longest - options.judging
    base = ["split=train-joined", "validation_split=val-joined", "denoiser.updates=100000"]
    base += [f"time_limit={max(left - options.latents, 5):.0f}", "denoiser.validate_every=400"]
    base += ["denoiser.batch=8" if options.smoke else "denoiser.batch=256"]
    reward = [f"time_limit={max(left - options.embedding, 5):.0f}", "semantic.updates=100000"]
    reward += ["semantic.validate_every=100000", "semantic.loss.order=1.0", "semantic.loss.align_every=4"]
    reward += ["semantic.optimiser.lr=4e-4", "semantic.batch=12" if options.smoke else "semantic.batch=96"]
    judge = [f"evaluator.updates={4 if options.smoke else 800}", "evaluator.batches=grouped"]
    judge += ["evaluator.batch=16" if options.smoke else "evaluator.batch=128"]
    further = ("train-reward", "--preset", "world", "--stage", "semantic", "--base", "builtin-world")
    commands = {
        "base": (("pretrain", "--preset", "world-mld", "--stage", "denoiser"), base, "generator"),
        "reward": (further, reward, "reward"),
        "judge": (("train-reward", "--preset", "evaluator-mini"), judge, "evaluator"),
    }
    for name, (command, sets, _) in commands.items():
        words = [word for each in sets for word in ("--set", each)]
        place = ("--device", device, "--data", data, "--out", str(out / name))
        over = ["--overwrite"] * (name == "base")
        model = out / name / commands[name][2]
        limit = max(left, 30) + 5 if name == "base" else None
        parts.start(name, motionrft(*command, *place, *words, *over), 2, limit, model)
    return {name: out / name / folder for name, (_, _, folder) in commands.items()}


def curve(base: Path) -> list[list[float]]:
    """Updates and validation losses of a base."""
    from motionrft.training.run import METRICS, read_lines

    path = base / "denoiser" / METRICS
    lines = read_lines(path) if path.is_file() else []
    return [[line["update"], line["validation_loss"]] for line in lines if "validation_loss" in line]


def _finals(
    parts: Parts, options: argparse.Namespace, chosen: Sequence[str], models: Mapping[str, Path]
) -> None:
    """The finalists and the other methods from the new base, side by side, for as long as is left."""
    base: Path | str = models["base"]
    if not (models["base"] / "config.json").is_file():
        parts.tell("base", {"missing": "the finals begin with builtin-world"})
        base = "builtin-world"
    options.judge = models["judge"] if (models["judge"] / "config.json").is_file() else ""
    runs = {f"easytune {name}": CANDIDATES[name] for name in chosen} | CONTROLS
    others = OTHERS[: 1 if options.smoke else None]
    runs |= {name: {**RUNS[name], "batch": 64} for name in others}
    seconds = max(min(parts.left - options.judging, options.longest), 3)
    judged = "val:1,test:1" if options.smoke else "val:2,test:5"
    start(parts, options, "before", {}, judged, base=base)
    names = {}
    for name, settings in runs.items():
        seeds = FINALISTS[: 1 if name in others or options.smoke else None]
        names[name] = [f"{name.replace(' ', '-')}-{seed}" for seed in seeds]
        for seed, each in zip(seeds, names[name], strict=True):
            first = each == f"{names[next(iter(runs))][0]}"
            start(parts, options, each, settings, judged, seconds, seed, base, kept=first)
    every = [each for several in names.values() for each in several]
    parts.wait("before", *every)
    rows = results(options, ("before", *every))
    parts.tell("finals", rows)
    for split in ("val", "test"):
        found = {name: [rows[each] for each in several if each in rows] for name, several in names.items()}
        metrics = {
            name: [row["metrics"][split] for row in several] for name, several in found.items() if several
        }
        if "before" in rows:
            shown = summary({"before": [rows["before"]["metrics"][split]]} | metrics)
            parts.tell(f"summary {split}", shown)
            print(split + "\n" + table(shown, found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("kit", "texts", "proof", "trial"))
    parser.add_argument("--data", type=Path, help="a data set of --preset world with compose.even")
    parser.add_argument(
        "--ready", type=Path, help="file that is there as soon as the data set is; null: it is"
    )
    parser.add_argument("--kit", type=Path)
    parser.add_argument("--autoencoder", type=Path, help="generator folder whose autoencoder the base has")
    parser.add_argument("--base", default="builtin-world", help="trial: what is tuned")
    parser.add_argument("--reward", default="builtin-world")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/world-proof"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--judge", default="", help="trial: a further evaluator that tells order and number")
    parser.add_argument("--seconds", type=float, default=355.0, help="proof: in all; trial: of tuning")
    parser.add_argument("--tuning", type=float, default=40.0, help="seconds of a candidate")
    parser.add_argument("--longest", type=float, default=75.0, help="seconds of a finalist")
    parser.add_argument(
        "--judging", type=float, default=80.0, help="seconds of a finalist's start, end and judgement"
    )
    parser.add_argument(
        "--latents", type=float, default=30.0, help="seconds of a base before its first update"
    )
    parser.add_argument("--embedding", type=float, default=35.0, help="seconds of a reward's start and end")
    parser.add_argument("--candidates", type=int, default=len(CANDIDATES))
    parser.add_argument("--name")
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--judged", default="val:3", help="splits and sampling seeds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="one seed, one other method, a small batch")
    options = parser.parse_args()
    options.ready = options.ready or options.data
    {"kit": kit, "texts": texts, "proof": proof, "trial": trial}[options.what](options)


if __name__ == "__main__":
    main()
