"""Does self-refinement (SPL) raise retrieval of composed events? Held-out composed clips, before and after.

    python -m tests.benchmarks.spl --data DATA --after 'runs/spl-*/reward' --keep tests/benchmarks/results

Candidates are composed clips alone (pairs of events in two orders, counts of one): a text looks for its own motion
among 32 of them, over many shuffles, and among all. Every caption asks, every representation answers. A change is the
mean over training seeds with a t interval over them.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motionrft import builtin
from motionrft.data import MotionDataset
from motionrft.intervals import Interval
from motionrft.reward.embedding import embed_motions, embed_texts
from motionrft.reward.folder import load_motionreward
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.retrieval import CANDIDATES, shuffled_groups
from tests.benchmarks.order import preferences

Numbers = dict[str, float]
TOPS = (1, 2, 3, 5, 10)
SHUFFLES = 30


def found_at(similarity: Tensor, own: Tensor, groups: Tensor) -> Numbers:
    """R@k in per cent of texts (Q, N) that look for motion `own` (Q,) among those of its group.

    groups: (G, n) motions that are each other's candidates; texts whose motion is in none are left out.
    """
    hits = []
    for members in groups:
        asked = torch.isin(own, members)
        scores = similarity[asked][:, members]  # (q, n)
        mine = similarity[asked, own[asked]]  # (q,)
        hits.append((scores > mine[:, None]).sum(1))
    rank = torch.cat(hits)
    return {f"R@{top}": 100.0 * (rank < top).double().mean().item() for top in TOPS}


def measured(reward: MotionReward, data: MotionDataset, rows: Tensor) -> dict[str, Numbers]:
    """Each protocol's recalls, and right order and number, mean over the representations; rows (N,) composed clips."""
    items = [data.items[int(row)] for row in rows]
    asked = [(place, caption.text) for place, item in enumerate(items) for caption in item.captions]
    own = torch.tensor([place for place, _ in asked])  # (Q,)
    first = [
        next(number for number, (at, _) in enumerate(asked) if at == place) for place in range(len(items))
    ]
    text = F.normalize(embed_texts(reward, [caption for _, caption in asked]), dim=-1)  # (Q, L)
    found: dict[str, list[Numbers]] = {"32": [], "all": [], "inside groups": []}
    for name in reward.network.size.representations:
        motion = F.normalize(embed_motions(reward, data, name)[rows], dim=-1)  # (N, L)
        similarity = text @ motion.T  # (Q, N)
        shuffles = torch.cat([shuffled_groups(len(rows), seed, CANDIDATES) for seed in range(SHUFFLES)])
        found["32"].append(found_at(similarity, own, shuffles))
        found["all"].append(found_at(similarity, own, torch.arange(len(rows))[None]))
        right = preferences(similarity[first], data.groups[rows])
        found["inside groups"].append(
            {side: 100.0 * right[side].double().mean().item() for side in ("motion", "text")}
        )
    return {
        protocol: {key: statistics.fmean(each[key] for each in parts) for key in parts[0]}
        for protocol, parts in found.items()
    }


def changes(before: dict[str, Numbers], after: Sequence[dict[str, Numbers]]) -> dict[str, Any]:
    """By protocol and number: before, change with half an interval (None for one seed), and each seed's change."""
    result: dict[str, Any] = {}
    for protocol, numbers in before.items():
        for key, start in numbers.items():
            each = [run[protocol][key] - start for run in after]
            interval = Interval.of(each)
            half = interval.half_width if len(each) > 1 else None
            result.setdefault(protocol, {})[key] = {
                "before": start,
                "change": interval.mean,
                "half": half,
                "each": each,
            }
    return result


def table(found: dict[str, Any]) -> str:
    lines = ["| candidates | | before | change |", "|---|---|---|---|"]
    for protocol, numbers in found.items():
        for key, value in numbers.items():
            half = "" if value["half"] is None else f" ± {value['half']:.2f}"
            lines.append(f"| {protocol} | {key} | {value['before']:.1f} | {value['change']:+.2f}{half} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--before", default="builtin-world", help="reward folder, or a built-in one's name")
    parser.add_argument("--after", required=True, help="refined reward folders, as a pattern")
    parser.add_argument("--split", default="test")
    parser.add_argument("--name", default="spl")
    parser.add_argument("--keep", type=Path, help="folder that the result is written to as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = MotionDataset(options.data, options.split)
    rows = torch.nonzero(data.groups >= 0)[:, 0]  # (N,)
    folders = sorted(map(Path, glob(options.after)))
    assert folders, f"no reward matches {options.after}"
    start = builtin.path("world/reward") if options.before == "builtin-world" else Path(options.before)
    before, *after = (measured(load_motionreward(folder), data, rows) for folder in (start, *folders))
    found = changes(before, after)
    print(f"{len(rows)} composed clips of {options.split}, {len(after)} training seeds\n\n{table(found)}")
    if options.keep:
        (options.keep / f"{options.name}.json").write_text(
            json.dumps(found, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
