"""Does a reward know order and number? Held-out composed clips (`compose` of a data set), groups of `index.csv`.

    python -m tests.benchmarks.order --reward runs/reward/reward --data data/world --keep tests/benchmarks/results

For every group, each member against each other one: the text with its own motion and the other's, the motion with its
own text and the other's. Chance is one half. Pairs of kinds never composed in training stand apart, and so do groups
whose motions are equally long (`compose.even`), where length tells nothing, and gestures over a body
(`compose.together`), which have no order.
"""

import argparse
import json
from itertools import permutations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def preferences(scores: Tensor, groups: Tensor) -> dict[str, Tensor]:
    """Right over wrong inside groups, by who chooses.

    Args:
        scores: (N, N), row a text and column a motion. groups: (N,) int64, -1 alone.

    Returns:
        `motion` and `text`: (P,) bool for P ordered pairs of one group; `first`: (P,) int64 the row of each.
    """
    pairs = [
        pair
        for group in groups.unique().tolist()
        if group >= 0
        for pair in permutations(torch.nonzero(groups == group)[:, 0].tolist(), 2)
    ]
    own, other = torch.tensor(pairs).unbind(1)
    right = scores[own, own]
    return {"motion": right > scores[own, other], "text": right > scores[other, own], "first": own}


def measured(reward: Any, data: Any, share: float) -> dict[str, dict[str, float]]:
    """Shares of right choices: representation, then kind of question."""
    from motionrft.files.composition import is_held_out
    from motionrft.reward.embedding import embed_motions, embed_texts

    unit = torch.nn.functional.normalize
    labels = [(item.label or "").split("/")[0] for item in data.items]
    held = torch.tensor([">" in label and is_held_out(*label.split(">"), share) for label in labels])
    counts = torch.tensor(["*" in label for label in labels])
    even = torch.tensor(["-even-" in item.key for item in data.items])
    number = torch.tensor(["-even-number-" in item.key for item in data.items])
    arms = torch.tensor(["-together-" in item.key for item in data.items])
    text = unit(embed_texts(reward, [item.captions[0].text for item in data.items]), dim=-1)  # (N, L)
    found = {}
    for name in reward.network.size.representations:
        chosen = preferences(text @ unit(embed_motions(reward, data, name), dim=-1).T, data.groups)
        kinds = {
            "order, new pairs": held & ~counts & ~even,
            "order, seen pairs": ~held & ~counts & ~even & ~arms,
            "number": counts & ~even,
            "number, equally long": number,
            "order or a part, equally long": even & ~number,
            "which gesture over a walk": arms,
        }
        kinds = {kind: mask for kind, mask in kinds.items() if mask[chosen["first"]].any()}
        found[name] = {
            f"{kind}: right {side}": chosen[side][mask[chosen["first"]]].float().mean().item()
            for kind, mask in kinds.items()
            for side in ("motion", "text")
        }
    return found


def main() -> None:
    from motionrft.data import MotionDataset
    from motionrft.reward.folder import load_motionreward

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reward", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--held-out", type=float, default=0.15, help="share that the data set was made with")
    parser.add_argument("--name", default="order")
    parser.add_argument("--keep", type=Path, help="folder that the result is written to as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = MotionDataset(options.data, options.split)
    found = measured(load_motionreward(options.reward), data, options.held_out)
    kinds = list(next(iter(found.values())))
    print("| | " + " | ".join(kinds) + " |\n" + "|---" * (len(kinds) + 1) + "|")
    for name, values in found.items():
        print(f"| {name} | " + " | ".join(f"{values[kind]:.3f}" for kind in kinds) + " |")
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{options.name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
