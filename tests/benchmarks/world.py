"""The wider world: does tuning by reward help a good, guided base more than as much supervised training does?

    python -m tests.benchmarks.world --data build/world/data --out build/world-proof --keep tests/benchmarks/results

DATA is the folder that `make world-pack world` converts. Every run tunes `builtin-world`, is tuned and sampled with
guidance, and has the same processor time on one thread. Runs are judged three times over, by judges that made no
gradient: rules that see events (prompts whose words are no training caption), the evaluator of the world (its held-out
items), and the same evaluator asked for the order and the number that it was not told. Settings are chosen on
`--split val`; what is shown has other training seeds and the test split. A run that is done is not repeated.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

from motionrft.intervals import Interval
from tests.benchmarks.world_judges import GUIDANCE, STEPS, Judges, event_prompts, measured

MADE, RECORDED = 100, 150
"""Event prompts of each kind, and captions of composed and of single clips, that are tuned on."""
PROMPTS = "prompts.txt"
FEW, MANY = {"warmup": 3, "floor": 0.1}, {"warmup": 20, "floor": 0.1}
COMMON: dict[str, Any] = {
    "generator": "builtin-world",
    "reward": "builtin-world",
    "steps": STEPS,
    "guidance": GUIDANCE,
    "batch": 16,
    "weights": {"semantic": 1.0, "similarity": 1.0},
    "reference": {"noises": 1},
    "updates": None,
    "watch": {"every": 0},
    "checkpoint_every": 0,
    "evaluation": {"prompts": 0},
}
CONTRAST = "contrast"
EASYTUNE = {"method": {"method": "easytune", "k": 10, "rho": 0}, "optimiser": {"lr": 5e-5} | MANY}
CONTROL = "sft"
RUNS: dict[str, dict[str, Any]] = {
    "easytune": EASYTUNE,
    "sft-easytune": {"after": CONTROL, **EASYTUNE},
    "easytune-contrast": {**EASYTUNE, "weights": {"semantic": 1.0, "similarity": 1.0, CONTRAST: 0.5}},
    CONTROL: {"method": {"method": "sft"}, "optimiser": {"lr": 1e-4} | MANY},
    "ddpo": {
        "method": {"method": "ddpo", "clip": 0.01},
        "eta": 1.0,
        "weights": {"semantic": 1.0},
        "optimiser": {"lr": 1e-4} | FEW,
    },
    "refl": {"method": {"method": "refl"}, "optimiser": {"lr": 1e-4} | FEW},
    "draft": {"method": {"method": "draft", "k": 5}, "optimiser": {"lr": 1e-4} | FEW},
    "drtune": {"method": {"method": "drtune"}, "optimiser": {"lr": 1e-4} | FEW},
    "alignprop": {"method": {"method": "alignprop"}, "optimiser": {"lr": 1e-4} | FEW},
}
"""By name, what differs; `after`: half of the time is spent on that run first."""


def write_prompts(path: Path, data: Path, taken: set[str], made: Sequence[int] = (MADE,) * 3) -> None:
    """What is tuned on, `frames text` a line: event prompts in other words than `taken`, captions of training clips."""
    from motionrft.data import MotionDataset
    from motionrft.training.seeds import item_seed

    fresh = event_prompts("train", made, taken)
    lines = [f"{round(20 * prompt.seconds)} {prompt.text}" for prompt in fresh]
    items = sorted(MotionDataset(data, "train").items, key=lambda item: item_seed(0, item.key))
    for composed in (True, False):
        chosen = [item for item in items if ("-pair-" in item.key or "-count-" in item.key) == composed][
            :RECORDED
        ]
        lines += [f"{item.length} {item.captions[0].text}" for item in chosen]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def tuned(name: str, rate: float | None, seed: int, seconds: float, out: Path, args: Any) -> Path:
    """The generator's folder; `cost.json` above it tells updates, seconds, bytes held for backward. Done once.

    A run that begins with supervised tuning spends half of its time on it.
    """
    import torch

    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession
    from motionrft.training.run import METRICS, read_lines

    if (out / "cost.json").is_file():
        return out / "generator"
    own = {key: value for key, value in RUNS[name].items() if key != "after"}
    if after := RUNS[name].get("after"):
        seconds /= 2
        own["generator"] = str(tuned(after, None, seed, seconds, out.with_name(f"{out.name}-first"), args))
    learns = own["method"]["method"] == "sft"
    said = {"data": str(args.data)} if learns else {"prompts": str(args.out / PROMPTS)}
    values = {**COMMON, **said, "seed": seed, "time_limit": seconds, **own}
    if rate is not None:
        values["optimiser"] = {**own["optimiser"], "lr": rate}
    shutil.rmtree(out, ignore_errors=True)
    session = FinetuneSession(out, torch.device("cpu"), dtype=torch.bfloat16)
    # One thread's processor time is what its wall time would be on a quiet machine, whoever else is busy.
    with patch("time.perf_counter", time.process_time):
        done = finetune(FinetunePreset.of(values, name), session)
    held = max(line["graph_bytes"] for line in read_lines(out / METRICS))
    cost = {"updates": done.outcome.step, "seconds": done.outcome.seconds, "bytes": held}
    (out / "cost.json").write_text(json.dumps(cost))
    return out / "generator"


SHOWN = {
    "events/mean": "event score",
    "swings/mean": "by second rules",
    "events/integrity": "all happen",
    "events/temporal": "in order",
    "events/frequency": "as often",
    "label_r1": "label R@1",
    "distinct_r3": "distinct R@3",
    "order told apart": "order told apart",
    "number told apart": "number told apart",
    "fid": "FID",
    "mm_dist": "MM-Dist",
    "jitter": "jitter",
}


def summary(found: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> dict[str, Any]:
    """Means over sampling seeds, then over training seeds with their t intervals.

    Args:
        found: by run, what `measured` gave for each training seed; `before` has one, of the untuned generator.
    """
    means = {
        run: [{k: fmean(v) for k, v in each.items()} for each in several] for run, several in found.items()
    }
    start = means["before"][0]
    rows: dict[str, Any] = {"before": start}
    for run, several in means.items():
        if run == "before":
            continue
        rows[run] = {key: _change([each[key] for each in several], start[key]) for key in SHOWN}
        rivals = means.get(CONTROL, [])
        if run != CONTROL and len(rivals) == len(several):
            against = {
                key: _change([a[key] - b[key] for a, b in zip(several, rivals, strict=True)], 0.0)
                for key in SHOWN
            }
            rows[f"{run} - {CONTROL}"] = against
    return rows


def _change(values: Sequence[float], start: float) -> dict[str, Any]:
    """Where a number is after tuning, and its change with the interval over training seeds."""
    changes = [value - start for value in values]
    interval = Interval.of(changes)
    half = None if interval.high is None else interval.high - interval.mean
    return {"after": fmean(values), "change": interval.mean, "half": half, "changes": changes}


def table(rows: Mapping[str, Any], costs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """All of it, in Markdown."""
    lines = ["| | " + " | ".join(SHOWN.values()) + " | updates |", "| --- |" + " --- |" * (len(SHOWN) + 1)]
    before = rows["before"]
    real = [f"{before[f'real/{key}']:.3f}" if f"real/{key}" in before else "" for key in SHOWN]
    lines.append("| real | " + " | ".join(real) + " | |")
    lines.append("| before | " + " | ".join(f"{before[key]:.3f}" for key in SHOWN) + " | |")
    for run, row in rows.items():
        if run == "before":
            continue
        cells = [f"{v['change']:+.3f} ± {v['half'] or float('nan'):.3f}" for v in (row[key] for key in SHOWN)]
        updates = ", ".join(str(cost["updates"]) for cost in costs.get(run, ()))
        lines.append(f"| {run} | " + " | ".join(cells) + f" | {updates} |")
    return "\n".join(lines)


def main() -> None:
    import torch

    from motionrft.loading import load_generator

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", nargs="+", choices=list(RUNS), default=["easytune-contrast", CONTROL])
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--rate", type=float, help="another learning rate than the run's own")
    parser.add_argument("--seconds", type=float, default=90.0, help="processor time of a run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="training seeds")
    parser.add_argument("--sampling-seeds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=30, help="event prompts of each kind")
    parser.add_argument("--items", type=int, default=96, help="held-out items of the evaluator")
    parser.add_argument("--keep", type=Path, help="folder that world-proof.json is written into")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    judges = Judges.of(args.data, args.split, args.prompts, args.items)
    prompts = args.out / PROMPTS
    if not prompts.is_file():
        each = [Judges.of(args.data, split, args.prompts, 32).prompts for split in ("val", "test")]
        write_prompts(prompts, args.data, {prompt.text for several in each for prompt in several})

    def kept(name: str, generator: Path | str) -> dict[str, list[float]]:
        path = args.out / f"{name}-{args.split}.json"
        if not path.is_file():
            found = measured(load_generator(generator), judges, range(args.sampling_seeds))
            path.write_text(json.dumps(found))
        return dict(json.loads(path.read_text()))

    found = {"before": [kept("before", COMMON["generator"])]}
    costs: dict[str, list[dict[str, float]]] = {}
    for seed in args.seeds:
        for run in args.runs:
            rate = args.rate or RUNS[run]["optimiser"]["lr"]
            place = args.out / f"{run}-{rate:g}-{args.seconds:g}s-{seed}"
            generator = tuned(run, args.rate, seed, args.seconds, place, args)
            found.setdefault(run, []).append(kept(place.name, generator))
            costs.setdefault(run, []).append(json.loads((place / "cost.json").read_text()))
            even = {name: several for name, several in found.items() if len(several) == len(found[run])}
            print(table(summary({"before": found["before"]} | even), costs), flush=True)
    rows = summary(found)
    if args.keep:
        names = ("split", "seconds", "seeds", "sampling_seeds", "prompts", "items")
        settings = {name: getattr(args, name) for name in names}
        kept_rows = {"settings": settings, "costs": costs, "summary": rows, "runs": found}
        (args.keep / "world-proof.json").write_text(json.dumps(kept_rows, indent=1) + "\n")
    print(table(rows, costs))


if __name__ == "__main__":
    main()
