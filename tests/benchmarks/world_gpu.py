"""The wider world on one GPU, within minutes: a base at its plateau and a reward that counts, then the proof beside them.

    python -m tests.benchmarks.world_gpu base --packed build/world/packed.tar.xz --out gpu-results --seconds 250
    python -m tests.benchmarks.world_gpu base --packed … --out DIR --device cpu --smoke      # does it run at all?

`packed.tar.xz` is what `make world-pack` writes. Every part is a process of its own with a log and a deadline; what it
leaves is packed into `--out` as it ends (models in half precision, a tar each; `results.json` after every part), and its
failure costs no other part.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.side_by_side import Parts, motionrft

EVEN = {"train": 900, "val": 75, "test": 90}
"""Groups of equally long motions, which the reward alone learns from."""
SAVING = 15.0
"""Seconds that a model needs to be written and packed."""
JOINED = ["split=train-joined", "validation_split=val-joined"]
BASES: dict[str, list[str]] = {
    "base": [*JOINED, "denoiser.batch=256"],
    "base-dropout": [*JOINED, "denoiser.batch=256", "generator.denoiser.dropout=0.1"],
    "base-even": ["denoiser.batch=256"],
}
"""Generators trained side by side, by what each sets: the last sees the equally long groups too."""
BATCHES = (16, 64, 256)


def plain_lists(data: Path) -> None:
    """Lists without the equally long groups: `train-joined.txt` and so on."""
    for split in EVEN:
        lines = (data / f"{split}.txt").read_text().splitlines()
        kept = [line for line in lines if "-even-" not in line]
        (data / f"{split}-joined.txt").write_text("\n".join(kept) + "\n")


def texts(data: Path, device: str) -> None:
    """Every caption and its mirror image into the cache on disk, once for all."""
    from motionrft.data import MotionDataset
    from motionrft.files.captions import mirror_caption
    from motionrft.text.loading import load_text_encoder

    known = [text for split in EVEN for text in MotionDataset(data, split).texts]
    load_text_encoder("minilm", device=device).remember(["", *known, *map(mirror_caption, known)])


def part(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.world_gpu", *arguments]


def unpacked(parts: Parts, packed: Path) -> None:
    """The captures of a packed file, in `raw`."""
    paths = f"Path({str(packed)!r}), Path({str(parts.work / 'raw')!r})"
    module = "from pathlib import Path; from motionrft.pretraining.packed_joints import unpack"
    parts.start("unpack", [sys.executable, "-c", f"{module}; unpack({paths})"], 1)
    parts.wait("unpack")


def conversion(parts: Parts, data: Path, jobs: int, even: dict[str, int]) -> list[str]:
    """What makes the data set of them, with so many groups of equally long motions."""
    raw = parts.work / "raw"
    lists = ("--captions", str(raw / "captions.jsonl"), "--splits", str(raw / "splits.csv"))
    sets = ("--jobs", str(jobs), "--set", f"compose.even={json.dumps(even)}")
    command = ("convert", str(raw / "joints"), "--dataset", "--preset", "world", "--out", str(data))
    return motionrft(*command, *lists, *sets)


def base(options: argparse.Namespace) -> None:
    """Data, then generators and the reward side by side."""
    began = time.time()
    parts = Parts(options.out, options.work, began + options.seconds)
    data, device = options.data or options.work / "data", options.device
    parts.start("speed", part("speed", "--device", device, *["--smoke"] * options.smoke), 2, 45)
    if options.data is None:
        unpacked(parts, options.packed)
        parts.start("convert", conversion(parts, data, options.jobs, EVEN), 1)
        parts.wait("convert")
    if not (data / "dataset.json").is_file():
        parts.tell("all", {"error": "no data set: see logs.tar.gz"})
        parts.wait("speed")
        parts.logs()
        return
    plain_lists(data)
    parts.start("texts", part("texts", "--data", str(data), "--device", device), options.jobs)
    parts.wait("texts")
    _train(parts, options, data)
    parts.tell("all", {"seconds": round(time.time() - began, 1)})
    parts.logs()


def _train(parts: Parts, options: argparse.Namespace, data: Path) -> None:
    limit, device, work = parts.left - SAVING, options.device, parts.work
    small = ["--set", "denoiser.batch=8", "--set", "semantic.batch=12"] if options.smoke else []
    for name, settings in BASES.items():
        (work / name / "autoencoder").mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["cp", "-r", str(options.autoencoder), str(work / name / "autoencoder/model")], check=True
        )
        # The latents of all clips are made before the first update.
        sets = [*settings, f"time_limit={max(limit - options.latents, 5):.0f}", "denoiser.updates=100000"]
        sets += ["denoiser.validate_every=500"]
        command = motionrft(
            *("pretrain", "--preset", "world-mld", "--stage", "denoiser", "--device", device),
            *("--data", str(data), "--out", str(work / name), "--overwrite"),
            *(word for each in sets for word in ("--set", each)),
            *small[:2],
        )
        parts.start(name, command, 2, model=work / name / "generator")
    command = motionrft(
        *("train-reward", "--preset", "world", "--stage", "semantic", "--base", "builtin-world"),
        *("--device", device, "--data", str(data), "--out", str(work / "reward")),
        *("--set", f"time_limit={max(limit - options.embedding, 5):.0f}", "--set", "semantic.updates=100000"),
        *("--set", "semantic.validate_every=100000", "--set", "semantic.loss.order=1.0"),
        *("--set", "semantic.loss.align_every=4", "--set", "semantic.optimiser.lr=4e-4"),
        *("--set", "semantic.batch=96", *small[2:]),
    )
    parts.start("reward", command, 2, model=work / "reward" / "reward")
    parts.wait(*BASES, "reward", "speed")


def speed(options: argparse.Namespace) -> None:
    """Seconds an update of EasyTune and of supervised tuning, by batch, with and without captured graphs."""
    import torch

    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession
    from motionrft.training.run import METRICS, read_lines
    from tests.benchmarks.world import COMMON, EASYTUNE

    for batch in (2,) if options.smoke else BATCHES:
        for how, dtype in ((False, torch.float32), ("graphs", torch.float32), ("graphs", torch.bfloat16)):
            if options.device == "cpu" and how:
                continue
            out = options.work / f"speed-{batch}-{how}-{dtype}"
            values = {
                **COMMON,
                **EASYTUNE,
                "batch": batch,
                "updates": 20 if options.smoke else 60,
                "compile": how,
            }
            began = time.time()
            finetune(
                FinetunePreset.of(values, "speed"),
                FinetuneSession(out, torch.device(options.device), dtype=dtype),
            )
            lines = read_lines(out / METRICS)
            row = {
                "method": "easytune",
                "batch": batch,
                "graphs": bool(how),
                "dtype": str(dtype).removeprefix("torch."),
            }
            row |= {"seconds an update": round(sum(line["seconds"] for line in lines[-10:]) / 10, 4)}
            print(json.dumps(row | {"in all": round(time.time() - began, 1)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("base", "texts", "speed"))
    parser.add_argument("--packed", type=Path)
    parser.add_argument("--data", type=Path, help="a data set converted before, with equally long groups")
    parser.add_argument("--autoencoder", type=Path, help="generator folder whose autoencoder is taken")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/world-gpu"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=250.0)
    parser.add_argument("--jobs", type=int, default=15)
    parser.add_argument(
        "--latents", type=float, default=40.0, help="seconds from a base's start to its first update"
    )
    parser.add_argument("--embedding", type=float, default=40.0, help="seconds of a reward's start and end")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    match options.what:
        case "base":
            base(options)
        case "texts":
            texts(options.data, options.device)
        case "speed":
            speed(options)


if __name__ == "__main__":
    main()
