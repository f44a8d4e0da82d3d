"""The wider world on one GPU, within minutes: a base at its plateau and a reward that counts, then the proof beside them.

    python -m tests.benchmarks.world_gpu base --packed build/world/packed.tar.xz --out gpu-results --seconds 210
    python -m tests.benchmarks.world_gpu base --packed … --out DIR --device cpu --smoke      # does it run at all?

`packed.tar.xz` is what `make world-pack` writes. Every part is a process of its own with a log and a deadline; what it
leaves is packed into `--out` as it ends (models in half precision, a tar each; `results.json` after every part), and its
failure costs no other part.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Parts:
    """Processes side by side, and what became of each."""

    out: Path
    work: Path
    ends: float
    """By `time.time()`."""
    threads: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    running: dict[str, tuple[subprocess.Popen[bytes], float, float]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.ends - time.time()

    def start(self, name: str, command: Sequence[str], threads: int, limit: float | None = None) -> None:
        log = open(self.work / f"{name}.log", "wb")  # noqa: SIM115 - the process's, for its life
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "NVIDIA_TF32_OVERRIDE": "1"}
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        now = time.time()
        self.running[name] = (process, now, min(now + (limit or 1e9), self.ends))

    def wait(self, *names: str) -> None:
        """Until those have ended; the others go on. Whoever outlasts its limit is asked to save, then ended."""
        while any(name in self.running for name in names):
            for name, (process, began, limit) in list(self.running.items()):
                late = time.time() - limit
                if process.poll() is None and late > 10:
                    os.killpg(process.pid, signal.SIGKILL)
                elif process.poll() is None and late > 0:
                    os.killpg(process.pid, signal.SIGTERM)
                if process.poll() is not None:
                    del self.running[name]
                    self.tell(name, {"rc": process.returncode, "seconds": round(time.time() - began, 1)})
            time.sleep(0.2)

    def tell(self, name: str, row: dict[str, Any]) -> None:
        """Add to the results, and write them."""
        self.told[name] = {**self.told.get(name, {}), **row}
        write = self.out / "results.json"
        write.write_text(json.dumps(self.told, indent=1) + "\n")
        print(name, json.dumps(row)[:400], flush=True)

    def kept(self, name: str, folder: Path) -> None:
        """Pack a model's folder, in half precision."""
        if (folder / "config.json").is_file():
            halve(folder)
            with tarfile.open(self.out / f"{name}.tar", "w") as tar:
                tar.add(folder, name)

    def logs(self) -> None:
        with tarfile.open(self.out / "logs.tar.gz", "w:gz") as tar:
            for path in sorted([*self.work.glob("*.log"), *self.work.glob("*/*/metrics.jsonl")]):
                tar.add(path, str(path.relative_to(self.work)))


def motionrft(*arguments: str) -> list[str]:
    """The command line, with all captions of the world in memory: otherwise the disk is what a GPU waits for."""
    held = "import motionrft.text.cache as cache; cache.HELD = 2**31; from motionrft_cli.main import main; main()"
    return [sys.executable, "-c", held, *arguments]


def part(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.world_gpu", *arguments]


def halve(folder: Path) -> None:
    """A model's weights in half precision."""
    from motionrft.training.weights import CARD, load_weights, save_weights

    tensors, config = load_weights(folder)
    half = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
    save_weights(folder, half, config, (folder / CARD).read_text(encoding="utf-8"))


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


def base(options: argparse.Namespace) -> None:
    """Data, then generators and the reward side by side."""
    began = time.time()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    parts = Parts(options.out, work, began + options.seconds)
    data, device = options.data or work / "data", options.device
    parts.start("speed", part("speed", "--device", device, *["--smoke"] * options.smoke), 2, 45)
    if options.data is None:
        unpack = "from pathlib import Path; from motionrft.pretraining.packed_joints import unpack; "
        paths = f"unpack(Path({str(options.packed)!r}), Path({str(work / 'raw')!r}))"
        parts.start("unpack", [sys.executable, "-c", unpack + paths], 1)
        parts.wait("unpack")
        raw, even = work / "raw", json.dumps(EVEN)
        parts.start(
            "convert",
            motionrft(
                *("convert", str(raw / "joints"), "--dataset", "--preset", "world", "--out", str(data)),
                *("--captions", str(raw / "captions.jsonl"), "--splits", str(raw / "splits.csv")),
                *("--jobs", str(options.jobs), "--set", f"compose.even={even}"),
            ),
            1,
        )
        parts.wait("convert")
    plain_lists(data)
    parts.start("texts", part("texts", "--data", str(data), "--device", device), options.jobs)
    parts.wait("texts")
    _train(parts, options, data)
    for name in BASES:
        parts.kept(name, work / name / "generator")
    parts.kept("reward", work / "reward" / "reward")
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
        parts.start(name, command, 2)
    command = motionrft(
        *("train-reward", "--preset", "world", "--stage", "semantic", "--base", "builtin-world"),
        *("--device", device, "--data", str(data), "--out", str(work / "reward")),
        *("--set", f"time_limit={max(limit - options.embedding, 5):.0f}", "--set", "semantic.updates=100000"),
        *("--set", "semantic.validate_every=100000", "--set", "semantic.loss.order=1.0"),
        *("--set", "semantic.loss.align_every=4", "--set", "semantic.optimiser.lr=4e-4"),
        *("--set", "semantic.batch=96", *small[2:]),
    )
    parts.start("reward", command, 2)
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
    parser.add_argument("--seconds", type=float, default=210.0)
    parser.add_argument("--jobs", type=int, default=15)
    parser.add_argument(
        "--latents", type=float, default=35.0, help="seconds from a base's start to its first update"
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
