"""How well a finished reward judges motions it never saw: python -m tests.benchmarks.critics --data DIR [--reward R]

On a split that nothing was trained on or chosen by (`test`): retrieval in both directions for every representation,
preference by kind of fault, authenticity against generated clips of a sampling seed that training never drew, beside a
classifier that sees lengths alone. Tables in Markdown; each recall is the mean over ten draws of candidates.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence

from motionrft.builtin import resolve
from motionrft.data import MotionDataset
from motionrft.generators import read_generator
from motionrft.reward.embedding import embed_motions, embed_texts
from motionrft.reward.folder import load_motionreward
from motionrft.reward.loading import reward_folder
from motionrft.reward.motionreward.critic_training import authenticity_report, preference_report
from motionrft.reward.motionreward.fakes import length_baseline, matched, sampled_fakes
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.pairs import perturbed_pairs
from motionrft.reward.motionreward.perturbations import PERTURBATIONS
from motionrft.reward.retrieval import RANKS, distinct_groups, recall, shuffled_groups

DRAWS = 10
UNSEEN_SEED = 77_000


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield "| " + " | ".join(header) + " |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield "| " + " | ".join(f"{x:.3f}" if isinstance(x, float) else str(x) for x in row) + " |"


def retrieval(reward: MotionReward, data: MotionDataset) -> Iterator[str]:
    text = embed_texts(reward, [item.captions[0].text for item in data.items])
    rows = []
    for name in reward.network.size.representations:
        motion = embed_motions(reward, data, name)
        protocols = {
            "label": [
                recall(text, motion, shuffled_groups(len(data), seed), data.labels) for seed in range(DRAWS)
            ],
            "distinct": [
                recall(text, motion, distinct_groups(data.labels, 12, seed)) for seed in range(DRAWS)
            ],
        }
        for protocol, draws in protocols.items():
            for direction in ("t2m", "m2t"):
                found = [statistics.fmean(draw[f"{direction}/R{k}"] for draw in draws) for k in RANKS]
                rows.append([name, protocol, direction, *(f"{value:.1f}" for value in found)])
    yield from table("Retrieval among 32, per cent", ["", "", "", *(f"R@{k}" for k in RANKS)], rows)


def preference(reward: MotionReward, data: MotionDataset, pairs: int) -> Iterator[str]:
    seen = perturbed_pairs(data, pairs, list(PERTURBATIONS), reward.network.size.representations, UNSEEN_SEED)
    report = preference_report(reward, reward.critics["preference"], seen)  # type: ignore[arg-type]
    held_out = reward.about.get("preference_held_out", [])
    header = [
        "",
        "accuracy",
        "F1",
        *(f"{kind} (held out)" if kind in held_out else kind for kind in PERTURBATIONS),
    ]
    rows = [
        [name, values["acc"], values["f1"], *(values[f"acc/{kind}"] for kind in PERTURBATIONS)]
        for name, values in report.items()
    ]
    yield from table(f"Preference, {pairs} pairs", header, rows)


def authenticity(reward: MotionReward, data: MotionDataset, count: int, generator: str) -> Iterator[str]:
    maker = read_generator(resolve(generator, "generator"))
    names = reward.network.size.representations
    clips, others = (
        matched(data, sampled_fakes(maker, data, count, names, seed, 20), seed)
        for seed in (UNSEEN_SEED, UNSEEN_SEED + 1)
    )
    report = authenticity_report(reward, reward.critics["authenticity"], clips)  # type: ignore[arg-type]
    rows = [[name, *values.values(), length_baseline(others, clips, name)] for name, values in report.items()]
    header = ["", *next(iter(report.values())), "lengths alone"]
    yield from table(f"Authenticity, {count} generated and {count} real clips", header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="data set folder in HumanML3D's layout")
    parser.add_argument("--reward", default="builtin")
    parser.add_argument("--split", default="test")
    parser.add_argument("--generator", default="builtin")
    parser.add_argument("--count", type=int, default=300, help="pairs by two, and generated clips")
    options = parser.parse_args()
    data = MotionDataset(options.data, options.split, 16, 196)
    reward = load_motionreward(reward_folder(options.reward))
    for line in retrieval(reward, data):
        print(line, flush=True)
    if "preference" in reward.critics:
        for line in preference(reward, data, 2 * options.count):
            print(line, flush=True)
    if "authenticity" in reward.critics:
        for line in authenticity(reward, data, options.count, options.generator):
            print(line, flush=True)


if __name__ == "__main__":
    main()
