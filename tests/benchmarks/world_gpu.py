"""The models of the wider world on one GPU, within minutes: a base trained further, and beside it a reward and a judge.

    python -m tests.benchmarks.world_gpu train --packed build/world/packed.tar.xz --base builtin-world --out gpu-results
    python -m tests.benchmarks.world_gpu train --packed … --out DIR --device cpu --smoke      # does it run at all?

`packed.tar.xz` is what `make world-pack` writes. Every part is a process of its own with a log and a deadline; what it
leaves is packed into `--out` as it ends (models in half precision, a tar each; `results.json` after every part), and its
failure costs no other part. What is trained stays in `--work` too, for `tests.benchmarks.world_gpu_proof`.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from motionrft.training.run import METRICS, read_lines
from tests.benchmarks.side_by_side import Parts, motionrft

EVEN = {"train": 900, "val": 75, "test": 90}
"""Groups of equally long motions, which the reward and the judge alone learn from."""
SAVING = 15.0
"""Seconds that a model needs to be written and packed."""
GRACE = 30.0
"""Seconds beyond the planned ones after which a training is stopped, and its generator lost: starts differ."""
JOINED = ("split=train-joined", "validation_split=val-joined")
ENDLESS = 1_000_000
"""Updates: time ends a training."""
MODELS = {"base": "generator", "reward": "reward", "judge": "evaluator"}
"""What is trained, and the folder that each leaves."""


def plain_lists(data: Path) -> None:
    """Lists without the equally long groups: `train-joined.txt` and so on."""
    for split in EVEN:
        lines = (data / f"{split}.txt").read_text().splitlines()
        kept = [line for line in lines if "-even-" not in line]
        (data / f"{split}-joined.txt").write_text("\n".join(kept) + "\n")


def texts(data: Path, device: str) -> None:
    """Every caption and its mirror image into the cache on disk, once for all; the base's first."""
    from motionrft.data import MotionDataset
    from motionrft.files.captions import mirror_caption
    from motionrft.text.loading import load_text_encoder

    encoder = load_text_encoder("minilm", device=device)
    for split in ("train-joined", "train", "val", "test"):
        known = sorted(MotionDataset(data, split).texts)
        encoder.remember(["", *known, *map(mirror_caption, known)])


def conversion(parts: Parts, data: Path, jobs: int, even: dict[str, int]) -> list[str]:
    """What makes the data set of unpacked captures, with so many groups of equally long motions."""
    raw = parts.work / "raw"
    lists = ("--captions", str(raw / "captions.jsonl"), "--splits", str(raw / "splits.csv"))
    sets = ("--jobs", str(jobs), "--set", f"compose.even={json.dumps(even)}")
    command = ("convert", str(raw / "joints"), "--dataset", "--preset", "world", "--out", str(data))
    return motionrft(*command, *lists, *sets)


def train(options: argparse.Namespace) -> None:
    """Data, then generator, reward and evaluator side by side."""
    began = time.time()
    parts = Parts(options.out, options.work, began + options.seconds + GRACE)
    data = options.data or options.work / "data"
    if options.data is None:
        paths = f"Path({str(options.packed)!r}), Path({str(parts.work / 'raw')!r})"
        module = "from pathlib import Path; from motionrft.pretraining.packed_joints import unpack"
        parts.start("unpack", [sys.executable, "-c", f"{module}; unpack({paths})"], 1)
        parts.wait("unpack")
        parts.start("convert", conversion(parts, data, options.jobs, EVEN), 1)
        parts.wait("convert")
    if not (data / "dataset.json").is_file():
        parts.tell("all", {"error": "no data set: see logs.tar.gz"})
        parts.logs()
        return
    plain_lists(data)
    command = [sys.executable, "-m", "tests.benchmarks.world_gpu", "texts", "--data", str(data)]
    parts.start("texts", [*command, "--device", options.device], 4)
    if options.device == "cpu":
        parts.wait("texts")  # every core is taken
    for name, words in _commands(options, data, parts.left - GRACE - SAVING).items():
        parts.start(name, words, 2, model=parts.work / name / MODELS[name])
    parts.wait("texts", *MODELS)
    parts.tell("curve", {"base": curve(parts.work / "base")})
    parts.tell("all", {"seconds": round(time.time() - began, 1)})
    parts.logs()


def _commands(options: argparse.Namespace, data: Path, limit: float) -> dict[str, list[str]]:
    """What trains each model within `limit` seconds, start and end included."""
    small = options.smoke

    def command(name: str, words: tuple[str, ...], before: float, **settings: Any) -> list[str]:
        sets = {"time_limit": f"{max(limit - before, 5):.0f}", **settings}
        place = ("--device", options.device, "--data", str(data), "--out", str(options.work / name))
        return motionrft(*words, *place, *(w for k, v in sets.items() for w in ("--set", f"{k}={v}")))

    further = ("--base", str(options.base))
    base = {"denoiser.updates": ENDLESS, "denoiser.validate_every": 400, "denoiser.optimiser.warmup": 100}
    base |= {"denoiser.batch": 8 if small else 256} | dict(each.split("=") for each in JOINED)
    reward = {"semantic.updates": ENDLESS, "semantic.validate_every": ENDLESS}
    reward |= {"semantic.loss.order": 1.0, "semantic.loss.align_every": 4}
    reward |= {"semantic.optimiser.lr": 4e-4, "semantic.batch": 12 if small else 96}
    judge = {"evaluator.updates": ENDLESS, "evaluator.batches": "grouped"}
    judge |= {"evaluator.batch": 16 if small else 128}
    pretrain = ("pretrain", "--preset", "world-mld", "--stage", "denoiser", *further, "--overwrite")
    semantic = ("train-reward", "--preset", "world", "--stage", "semantic", "--base", str(options.reward))
    evaluator = ("train-reward", "--preset", "evaluator-mini")
    return {
        "base": command("base", pretrain, options.latents, **base),
        "reward": command("reward", semantic, options.embedding, **reward),
        "judge": command("judge", evaluator, options.embedding, **judge),
    }


def curve(base: Path) -> list[list[float]]:
    """Updates and validation losses of a base."""
    path = base / "denoiser" / METRICS
    lines = read_lines(path) if path.is_file() else []
    return [[line["update"], line["validation_loss"]] for line in lines if "validation_loss" in line]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "texts"))
    parser.add_argument("--packed", type=Path)
    parser.add_argument("--data", type=Path, help="a data set converted before, with equally long groups")
    parser.add_argument("--base", default="builtin-world", help="generator whose denoiser is trained further")
    parser.add_argument("--reward", default="builtin-world", help="reward that is trained further")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/world-gpu"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--jobs", type=int, default=15)
    parser.add_argument(
        "--latents", type=float, default=35.0, help="seconds of a base's start, latents and end"
    )
    parser.add_argument("--embedding", type=float, default=60.0, help="seconds of a reward's start and end")
    parser.add_argument("--smoke", action="store_true", help="small batches")
    options = parser.parse_args()
    if options.what == "texts":
        texts(options.data, options.device)
    else:
        train(options)


if __name__ == "__main__":
    main()
