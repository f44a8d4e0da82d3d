"""Put the built-in models together: the last step of `make assets`.

Reads a pre-trained generator, a reward, an evaluator and the data set they were trained on; writes `motionrft/builtin/`
in half precision, with a card for each that says data, licence, seed, command and what was measured.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import motionrft.builtin
from motionrft.data.folder import MotionDataset
from motionrft.evaluation.evaluators.loading import load_evaluator
from motionrft.evaluation.generation import evaluate_generator
from motionrft.evaluation.items import FixedItems, capped
from motionrft.generators.folder import read_generator
from motionrft.generators.mld import Mld
from motionrft.pretraining.posterior_stage import reconstruction_quality
from motionrft.representations.statistics import Statistics
from motionrft.training.atomic import write_text
from motionrft.training.seeds import item_seed
from motionrft.training.weights import CARD, load_weights, save_weights

PROMPTS = 448
"""Training prompts: an hour of tuning meets each a few times."""
PER_LABEL = 12
"""Held-out items of a kind: kinds are very uneven, and evaluation time is dear."""
SEEDS = (0, 1, 2)
MEASURED = (
    "label_r1",
    "distinct_r1",
    "distinct_r3",
    "mm_dist",
    "fid",
    "jitter",
    "motion_energy",
    "hand_as_told",
    "turn_as_told",
)
LICENCE = """Trained on, or computed from, the Bandai-Namco-Research-Motiondataset, (c) 2022 Bandai Namco Research Inc.
(Kobayashi et al. 2023, arXiv:2306.08861), under CC BY-NC 4.0: **non-commercial use only**. The code is MIT."""


@dataclass(frozen=True)
class Sources:
    """Folders that the built-in models are put together from."""

    data: Path
    generator: Path
    reward: Path
    evaluator: Path


def assemble(sources: Sources, out: Path | None = None) -> None:
    """Write models, prompts and items below `out` (None: into this installation), replacing what lies there."""
    out = out or Path(motionrft.builtin.__file__).parent
    for name, folder in (("reward", sources.reward), ("evaluator", sources.evaluator)):
        tensors, config = load_weights(folder)
        card = (folder / CARD).read_text(encoding="utf-8")
        save_weights(out / name, tensors, config, f"{card.rstrip()}\n\n## Licence\n\n{LICENCE}\n")
    write_items(sources, out)
    write_prompts(MotionDataset(sources.data, "train"), out / "prompts.jsonl")
    write_generator(sources, out)


def write_items(sources: Sources, out: Path) -> None:
    """The held-out items of both splits, as the evaluator sees their real motions."""
    evaluator = load_evaluator(sources.evaluator)
    for split in ("val", "test"):
        items = FixedItems.of_dataset(MotionDataset(sources.data, split), evaluator, PER_LABEL)
        card = f"# Evaluation items, {split} split\n\nCaptions, lengths and embeddings of real clips.\n\n{LICENCE}\n"
        items.save(out / "items" / split, card)


def write_prompts(train: MotionDataset, path: Path) -> None:
    """At most so many clips of a kind that about `PROMPTS` remain, each with one of its captions."""
    labels, keys = [item.label for item in train.items], [item.key for item in train.items]
    per_label = max(n for n in range(1, 100) if len(capped(labels, keys, n)) <= PROMPTS or n == 1)
    lines = []
    for i in capped(labels, keys, per_label):
        item = train.items[i]
        caption = item.captions[item_seed(0, "prompt", item.key) % len(item.captions)]
        lines.append(json.dumps({"text": caption.text, "frames": item.length, "label": item.label}))
    write_text(path, "\n".join(lines) + "\n")


def write_generator(sources: Sources, out: Path) -> None:
    """The generator in half precision, measured as it is written."""
    generator = read_generator(sources.generator)
    assert isinstance(generator, Mld)
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in generator.state_dict().items()
    }
    generator.load_state_dict(state)
    card = generator_card(generator, sources, FixedItems.load(out / "items" / "test"))
    save_weights(out / "generator", state, {"family": generator.family, **generator.to_config()}, card)


def generator_card(generator: Mld, sources: Sources, items: FixedItems) -> str:
    """Data, licence, command, and what the held-out split says of the generator."""
    statistics = Statistics(generator.mean, generator.std)
    quality = reconstruction_quality(generator.vae, MotionDataset(sources.data, "test"), statistics)
    evaluator = load_evaluator(sources.evaluator)
    measured = [
        evaluate_generator(generator, None, evaluator, items, SEEDS, generator.sampling(guidance=g))
        for g in (1.0, 2.5)
    ]
    rows = [
        f"| {name} | {measured[0].mean(name):.3f} | {measured[1].mean(name):.3f} | "
        f"{sum(measured[0].real[name]) / len(SEEDS):.3f} |"
        for name in MEASURED
    ]
    return "\n".join(
        [
            "# The built-in generator",
            "",
            "Latent diffusion over HumanML3D features (263, 20 fps): convolutional autoencoder (one latent for four",
            "frames), skip transformer with four learned text queries, MiniLM token states.",
            "",
            "Made by `motionrft pretrain --preset mini-mld` (seed 0) on the training part of `split_strict`;",
            "`make assets` repeats all of it.",
            "",
            f"Held-out split: autoencoder error {quality['error_mm']:.1f} mm (heading-aligned), jitter of",
            f"reconstructions {quality['jitter_ratio']:.2f} times real. Samples of 50 steps, {len(items.items)} items,",
            f"{len(SEEDS)} seeds, by the built-in evaluator:",
            "",
            "| | unguided | guidance 2.5 | real |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Licence",
            "",
            LICENCE,
            "",
        ]
    )
