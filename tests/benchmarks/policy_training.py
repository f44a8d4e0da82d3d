"""What the mini presets of DDPO, GRPO, SoPo and DPO gain on the built-in world: several training seeds, held-out prompts.

    python -m tests.benchmarks.policy_training --out build/policy --methods ddpo grpo --keep tests/benchmarks/results

One thread; seconds are the process's own. Every run is evaluated with what it was tuned with, on `--sampling-seeds`
noises of each held-out prompt, paired with the untuned generator's. A change is the mean over training seeds of the
mean over sampling seeds, with a t interval over training seeds. Runs that are done are not repeated. `--split val`
with `--set` is for choosing settings; the test prompts are for what is shown.
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

T_975 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57}
"""Of Student's distribution, by degrees of freedom."""
METRICS = ("reward", "label_r1", "distinct_r3", "fid", "mm_dist", "jitter", "diversity")


def tuned(name: str, preset: Any, out: Path) -> dict[str, Any]:
    """Run a preset, or read what it gave before: metrics before and after, lists over sampling seeds."""
    import torch

    from motionrft.finetuning.run import finetune
    from motionrft.finetuning.session import FinetuneSession

    file = out / name / "done.json"
    if file.is_file():
        return dict(json.loads(file.read_text(encoding="utf-8")))
    torch.set_num_threads(1)
    shutil.rmtree(out / name, ignore_errors=True)
    start = out / "before" / _start(preset)
    start.mkdir(parents=True, exist_ok=True)
    session = FinetuneSession(out / name, torch.device("cpu"), before=start)
    with patch("time.perf_counter", time.process_time):
        done = finetune(preset, session)
    lines = [json.loads(line) for line in (out / name / "metrics.jsonl").read_text().splitlines()]
    before, after = done.results
    found = {
        "updates": done.outcome.step,
        "seconds": done.outcome.seconds,
        "before": before.metrics,
        "after": after.metrics,
        "logged": {
            key: [lines[0].get(key), lines[-1].get(key)] for key in ("reward", "kept", "taught", "clipped")
        },
    }
    file.write_text(json.dumps(found), encoding="utf-8")
    shutil.rmtree(out / name / "checkpoints", ignore_errors=True)
    return found


def _start(preset: Any) -> str:
    """Evaluations of the untuned generator are shared by runs that sample and judge alike."""
    e = preset.evaluation
    return f"{preset.steps}-{preset.eta}-{preset.guidance}-{e.split}-{e.seeds}-{e.prompts}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """(mean, half of its 95 % interval); half is NaN for one value."""
    if len(values) < 2:
        return statistics.fmean(values), float("nan")
    half = T_975[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), half


def row(name: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A method's changes over its training seeds."""
    changes = {}
    for metric in METRICS:
        if metric in runs[0]["after"]:
            pairs = [(run["before"][metric], run["after"][metric]) for run in runs]
            gains = [statistics.fmean(after) - statistics.fmean(before) for before, after in pairs]
            mean, half = interval(gains)
            start = statistics.fmean(pairs[0][0])
            changes[metric] = {"before": start, "change": mean, "half": half, "each": gains}
    costs = {key: statistics.fmean(run[key] for run in runs) for key in ("updates", "seconds")}
    return {"name": name, **costs, "metrics": changes}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| | " + " | ".join(METRICS) + " | updates | seconds |", "|---" * (len(METRICS) + 3) + "|"]
    for found in rows:
        cells = []
        for metric in METRICS:
            change = found["metrics"].get(metric)
            cells.append(
                ""
                if change is None
                else f"{change['before']:.3f} {change['change']:+.3f} ±{change['half']:.3f}"
            )
        lines.append(
            f"| {found['name']} | "
            + " | ".join(cells)
            + f" | {found['updates']:.0f} | {found['seconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    from motionrft.finetuning.preset import FinetunePreset
    from motionrft.settings.layers import resolve

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--methods", nargs="+", default=["ddpo", "grpo"], help="presets without their `mini-`"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="training seeds")
    parser.add_argument("--sampling-seeds", type=int, default=5)
    parser.add_argument("--split", default="test")
    parser.add_argument("--data", help="data set that sopo learns from")
    parser.add_argument(
        "--set", nargs="*", default=[], dest="settings", help="KEY=VALUE laid over the presets"
    )
    parser.add_argument("--label", default="", help="name of a trial with --set")
    parser.add_argument("--keep", type=Path, help="folder that the results are written to as JSON")
    options = parser.parse_args()
    rows = []
    for method in options.methods:
        runs = []
        for seed in options.seeds:
            fixed = [
                "watch.every=0", f"seed={seed}", f"evaluation.split={options.split}",
                f"evaluation.seeds={options.sampling_seeds}", "evaluation.guidance=[]",
                *([f"data={options.data}"] if options.data else []),
            ]  # fmt: skip
            preset = resolve(FinetunePreset, f"mini-{method}", settings=[*fixed, *options.settings])
            name = f"{method}{options.label}-{options.split}-seed{seed}"
            runs.append(tuned(name, preset, options.out))
            gain = {
                key: statistics.fmean(runs[-1]["after"][key]) for key in METRICS if key in runs[-1]["after"]
            }
            print(
                name, {key: round(value, 4) for key, value in gain.items()}, runs[-1]["seconds"], flush=True
            )
        rows.append(row(method + options.label, runs))
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"policy-{method}.json").write_text(
                json.dumps(rows[-1], indent=1) + "\n", encoding="utf-8"
            )
    print(table(rows))


if __name__ == "__main__":
    main()
