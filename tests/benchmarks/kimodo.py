"""Kimodo tuned by reward at home: what EasyTune gains on mini-kimodo, what it costs, and what keeps the blocks together.

    motionrft pretrain --preset mini-kimodo --data DATA --out runs/mini-kimodo
    python -m tests.benchmarks.kimodo --generator runs/mini-kimodo/generator --data DATA --out build/kimodo
    python -m tests.benchmarks.kimodo --out build/kimodo --parts text          # LLM2Vec's memory alone

DATA is a data set folder of the built-in captures (`convert --preset bandai-namco`). One thread, so that seconds are
processor seconds (with --device cuda those of the clock). Rewards judge forward kinematics; every run is evaluated on
the held-out prompts under the same sampling seeds as the untuned generator, and a gain is the mean over training seeds
with its t interval. Supervised tuning makes as many updates. Runs that are done are not repeated. --keep FOLDER also
writes FOLDER/kimodo.json.
"""

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.benchmarks.layer_by_layer import peaks

PARTS = ("tuning", "bytes", "text")
TOLD, WITHOUT = "easytune-sliding", "easytune-without"
_SLIDING: dict[str, Any] = {
    "method": {"method": "easytune", "k": 4, "rho": 1},
    "optimiser": {"lr": 3e-5, "warmup": 5, "floor": 0.1},
}
_JITTER = {"jitter": 5e-5}
RUNS: dict[str, dict[str, Any]] = {
    "easytune": {},
    TOLD: {**_SLIDING, "weights": {"semantic": 1, "consistency": 1, **_JITTER}},
    WITHOUT: {**_SLIDING, "weights": {"semantic": 1, **_JITTER}},
    "easytune-similar": {
        **_SLIDING,
        "optimiser": {"lr": 5e-5, "warmup": 5, "floor": 0.1},
        "weights": {"semantic": 1, "similarity": 0.5, "consistency": 1, **_JITTER},
    },
    "easytune-all": {
        "method": {"method": "easytune", "k": 10, "rho": 0},
        "optimiser": {"lr": 3e-5, "warmup": 5, "floor": 0.1},
    },
    "easytune-fast": {**_SLIDING, "optimiser": {"lr": 1e-4, "warmup": 5, "floor": 0.1}},
    "sft": {"method": {"method": "sft"}, "optimiser": {"lr": 3e-5, "warmup": 5, "floor": 0.1}},
}
"""The chosen setting of EasyTune, and others: the judged window slides to the clean end, with and without `consistency`;
close to the untuned motions; all steps judged; a larger rate. And supervised tuning."""
COMMON: dict[str, Any] = {
    "method": {"method": "easytune", "k": 4, "rho": 0},
    "steps": 10,  # as good as 25 on this generator
    "guidance": 1.0,
    # Small batches are learnt by heart within a trajectory, and the same noise again with them.
    "batch": 128,
    "reference": {"noises": 64},
    "optimiser": {"lr": 2e-5, "warmup": 5, "floor": 0.1},
    # Without a price on jitter motions shake half as much again; consistency keeps the other blocks with the pose.
    "weights": {"semantic": 1, "consistency": 1, "jitter": 1e-4},
    "ema": 0.95,
    "watch": {"every": 0},
    "checkpoint_every": 0,
}
METRICS = (
    *("reward/semantic", "label_r1", "distinct_r3", "fid", "mm_dist"),
    *("jitter", "skating_ratio", "motion_energy", "hand_as_told"),
)
"""Not the total: its terms weigh differently in each run, and the untuned generator is evaluated once."""
PROMPTS, NOISE = 48, 7
"""Held-out prompts whose blocks are compared, and the seed of their noise."""
STEPS, _HELD_BATCH = (10, 25, 50), 8


def tuned(name: str, values: Mapping[str, Any], args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Run one, or read what it gave before: metrics before and after over sampling seeds, and its blocks."""
    import torch

    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import FinetuneSession, finetune
    from motionrft.loading import load_generator

    folder = args.out / f"{name}-{seed}"
    if (folder / "done.json").is_file():
        return dict(json.loads((folder / "done.json").read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)
    data = {} if args.data is None else {"data": str(args.data)}
    evaluation = {
        "seeds": args.sampling_seeds,
        "prompts": args.prompts,
        "split": args.split,
        "data": "builtin",
    }
    preset = FinetunePreset.of(
        {
            **COMMON,
            **data,
            **values,
            "generator": str(args.generator),
            "updates": args.updates,
            "seed": seed,
            "evaluation": evaluation,
        }
    )
    device = torch.device(args.device)
    session = FinetuneSession(folder, device, before=_made(args.out / "before"))
    torch.set_num_threads(1)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    with patch("time.perf_counter", clock):
        done = finetune(preset, session)
    before, after = done.results
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = {
        "updates": done.outcome.step,
        "seconds": done.outcome.seconds,
        "graph_bytes": max(line["graph_bytes"] for line in lines),
        "before": before.metrics,
        "after": after.metrics,
        **blocks(load_generator(str(done.generator), args.device)),
    }
    (folder / "done.json").write_text(json.dumps(found), encoding="utf-8")
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    print(
        f"{name} {seed}: {found['updates']} updates, {found['seconds']:.0f} s, {found['blocks']}", flush=True
    )
    return found


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def blocks(generator: Any) -> dict[str, Any]:
    """How far a Kimodo's other blocks are from its pose, over prompts: what its exports do not show.

    Returns:
        `blocks`, means by name, and `curve`, the millimetres between positions and pose frame by frame.
    """
    import torch

    from motionrft import builtin
    from motionrft.generators.sampling import prompt_seeds, sample
    from motionrft.lengths import length_mask
    from motionrft.representations.kimodo.features import (
        FPS,
        KimodoFeatures,
        contacts_of,
        forward_kinematics,
        heading_of,
        rest_of,
        skeleton_of_features,
    )

    texts = sorted({prompt.text for prompt in builtin.prompts()})[::3][:PROMPTS]
    lengths = generator.frames(torch.full((len(texts),), 3.0))
    judged, _ = generator.representation, generator.decode_features()
    sampled = sample(
        generator,
        generator.encode_text(texts),
        lengths,
        prompt_seeds(NOISE, texts),
        generator.sampling(steps=COMMON["steps"], guidance=COMMON["guidance"]),
        len(texts),
    )
    generator.representation = judged
    values, lengths = sampled.motion.cpu(), lengths.cpu()
    features, skeleton = KimodoFeatures(values), skeleton_of_features(values.shape[-1])
    posed = forward_kinematics(features.rotations, features.root, skeleton, rest_of(skeleton))
    moved = posed.diff(dim=1) * FPS
    valid = length_mask(lengths, values.shape[1])

    def mean(curve: Any, counts: Any = valid) -> float:
        return float(curve[counts].mean())

    cosine = (features.heading * heading_of(posed, skeleton)).sum(-1)
    cosine = cosine / features.heading.norm(dim=-1).clamp(min=1e-6)
    touching = contacts_of(posed[:, :-1], moved, skeleton) > 0.5
    beside = 1000 * (features.joints_of_positions() - posed).norm(dim=-1).mean(-1)  # (B, T)
    curve = torch.where(valid, beside, 0.0).sum(0) / valid.sum(0)
    means = {
        "positions_mm": mean(beside),
        "velocities_mm_s": 1000
        * mean((features.velocities[:, :-1] - moved).norm(dim=-1).mean(-1), valid[:, 1:]),
        "heading_degrees": mean(torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))),
        "contacts_wrong": mean((features.contacts[:, :-1] != touching).float().mean(-1), valid[:, 1:]),
    }
    return {"blocks": means, "curve": [round(value, 2) for value in curve.tolist()]}


def held(args: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Bytes held for backward at most, by method and denoising steps."""
    import torch

    from motionrft.finetuning.estimate import estimate
    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import FinetuneSession

    found: dict[str, dict[str, int]] = {"easytune": {}, "draft, all steps": {}}
    for steps in STEPS:
        for name, method in (
            ("easytune", {"method": "easytune", "k": 10}),
            ("draft", {"method": "draft", "k": steps}),
        ):
            values = {
                **COMMON,
                "method": method,
                "batch": _HELD_BATCH,
                "steps": steps,
                "generator": str(args.generator),
            }
            cost = estimate(
                FinetunePreset.of(values), FinetuneSession(args.out / "none", torch.device("cpu"))
            )
            found["easytune" if name == "easytune" else "draft, all steps"][str(steps)] = cost.graph_bytes
    return found


def summary(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Gains over training seeds by run and metric: mean, low, high; and the blocks, mean over seeds."""
    from motionrft.intervals import Interval

    found: dict[str, Any] = {}
    for name, several in runs.items():
        gains = {}
        for metric in METRICS:
            if metric in several[0]["after"]:
                each = [
                    statistics.fmean(r["after"][metric]) - statistics.fmean(r["before"][metric])
                    for r in several
                ]
                gain = Interval.of(each)
                gains[metric] = [
                    statistics.fmean(several[0]["before"][metric]),
                    gain.mean,
                    gain.low,
                    gain.high,
                ]
        rivals = runs.get(WITHOUT, [])
        if name == TOLD and len(rivals) > 1:
            # Of the training seeds that both have, which are the first ones.
            apart = [
                r["blocks"]["positions_mm"] - w["blocks"]["positions_mm"]
                for r, w in zip(several, rivals, strict=False)
            ]
            paired = Interval.of(apart)
            gains["positions_mm against without"] = [0.0, paired.mean, paired.low, paired.high]
        blocks_of = {key: statistics.fmean(r["blocks"][key] for r in several) for key in several[0]["blocks"]}
        numbers = {
            key: statistics.fmean(r[key] for r in several) for key in ("updates", "seconds", "graph_bytes")
        }
        curve = [
            round(statistics.fmean(frame), 2) for frame in zip(*(r["curve"] for r in several), strict=True)
        ]
        found[name] = {"seeds": len(several), **numbers, "gains": gains, "blocks": blocks_of, "curve": curve}
    return found


def draw(tuning: Mapping[str, Any], path: Path) -> None:
    """The position block beside the pose, frame by frame, untuned, and after one tuning with and without the term."""
    from motionrft.report.chart_files import write_chart
    from motionrft.report.content import Series

    rows = {"untuned": tuning["before"]["curve"]}
    titles = {TOLD: "tuned, with consistency", WITHOUT: "tuned, without"}
    rows |= {titles[name]: tuning["runs"][name]["curve"] for name in titles if name in tuning["runs"]}
    series = [
        Series(
            "Positions beside the pose, mean of 48 motions",
            name,
            range(len(curve)),
            curve,
            "mm",
            "frame",
            from_zero=True,
        )
        for name, curve in rows.items()
    ]
    write_chart(path, series)


def table(document: Mapping[str, Any]) -> str:
    """All of it, in Markdown."""
    lines: list[str] = []
    if tuning := document.get("tuning"):
        lines += ["| run | seconds | " + " | ".join(METRICS[:5]) + " |", "|" + " --- |" * 7]
        for name, run in tuning["runs"].items():
            cells = []
            for metric in METRICS[:5]:
                start, mean, low, high = run["gains"].get(metric, [float("nan")] * 4)
                half = float("nan") if high is None else (high - low) / 2
                cells.append(f"{start:.3f} {mean:+.3f} ± {half:.3f}")
            lines.append(f"| {name} | {run['seconds']:.0f} | " + " | ".join(cells) + " |")
        keys = list(tuning["before"]["blocks"])
        lines += [
            "",
            "| blocks beside the pose | " + " | ".join(keys) + " |",
            "|" + " --- |" * (len(keys) + 1),
        ]
        rows = {"untuned": tuning["before"]["blocks"]} | {
            name: run["blocks"] for name, run in tuning["runs"].items()
        }
        lines += [
            f"| {n} | " + " | ".join(f"{row[key]:.3g}" for key in keys) + " |" for n, row in rows.items()
        ]
    if bytes_held := document.get("bytes"):
        lines += [
            "",
            "| MiB held for backward | " + " | ".join(f"S = {s}" for s in STEPS) + " |",
            "| --- |" + " --- |" * 3,
        ]
        for name, row in bytes_held.items():
            lines.append(f"| {name} | " + " | ".join(f"{row[str(s)] / 2**20:.1f}" for s in STEPS) + " |")
    if text := document.get("text"):
        lines += ["", "| LLM2Vec, MiB | " + " | ".join(text) + " |", "|" + " --- |" * (len(text) + 1)]
        lines.append("| | " + " | ".join(f"{value:.1f}" for value in text.values()) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--generator", type=Path, help="mini-kimodo's folder")
    parser.add_argument(
        "--data", type=Path, help="data set folder of prompts, and of motions for the supervised run"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="training seeds")
    parser.add_argument("--device", default="cpu", help="cpu, cuda: where tuning and its evaluations run")
    parser.add_argument("--split", default="test", help="held-out prompts of this split: val to choose by")
    parser.add_argument("--sampling-seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=160)
    parser.add_argument("--prompts", type=int, default=152, help="held-out prompts of an evaluation")
    parser.add_argument("--keep", type=Path, help="folder for kimodo.json")
    parser.add_argument("--figure", type=Path, help="SVG of positions beside the pose, frame by frame")
    args = parser.parse_args()
    if args.generator is None and set(args.parts) != {"text"}:
        parser.error("--generator is needed: pretrain mini-kimodo first")
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "kimodo.json"
    document: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if "text" in args.parts:
        document["text"] = peaks(args.out)
    if "bytes" in args.parts:
        document["bytes"] = held(args)
    if "tuning" in args.parts:
        from motionrft.loading import load_generator

        runs = {
            name: [tuned(name, RUNS[name], args, seed) for seed in args.seeds]
            for name in args.runs
            if args.data is not None or name != "sft"
        }
        document["tuning"] = {
            "runs": summary(runs),
            "before": blocks(load_generator(str(args.generator), args.device)),
        }
        if args.figure is not None:
            draw(document["tuning"], args.figure)
    for folder in {args.out, args.keep or args.out}:
        (folder / "kimodo.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(table(document))


if __name__ == "__main__":
    main()
