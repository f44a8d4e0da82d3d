"""How well a reward's critic and its authenticity head judge: pairs of motions, and real against generated
ones."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.evaluation.metrics import (
    BinaryMetrics,
    authenticity_metrics,
    preference_metrics,
)
from motionrft.evaluation.result import EvaluationResult, machine
from motionrft.files import motion_files
from motionrft.files.layouts import usual_fps
from motionrft.files.reading import ReadingOptions
from motionrft.official.pickles import read_pickle
from motionrft.representations.names import KINEMATIC, guess_representation
from motionrft.reward.base import Reward
from motionrft.reward.classification import official_swaps
from motionrft.reward.motionreward.clips import Clip, Pair, batch_of, clips_of
from motionrft.reward.motionreward.fakes import GENERATED, matched, read_fakes
from motionrft.reward.motionreward.pairs import published_pairs, read_clip, read_pairs
from motionrft.reward.resampled import SAME_RATE
from motionrft.skeleton import SMPL22
from motionrft.training.fingerprints import path_hash, text_hash

PAIRS = "pairs.jsonl"
BETTER, WORSE = "better", "worse"


def evaluate_preference(
    reward: Reward,
    pairs: Path,
    name: str,
    identity: str,
    term: str = "preference",
    batch: int = 32,
    reading: ReadingOptions | None = None,
) -> EvaluationResult:
    """Does the reward's term prefer what people preferred?

    Args:
        reward: with `term` among its terms.
        pairs: a folder with `pairs.jsonl`, or with `better/NAME.npy` and `worse/NAME.npy`; a `pairs.jsonl`;
            or a
            published `critic_*.pth`.
        reading: how motion files are read; they are brought to the reward's rate.

    Raises:
        UserError: no pairs, or a motion without its partner.
    """
    found = pairs_at(pairs, reward.representation, reading, _rate_of(reward))
    sides = [[getattr(pair, side) for pair in found] for side in (BETTER, WORSE)]
    scores = torch.stack([_scores(reward, clips, term, batch) for clips in sides], dim=1)  # (N, 2)
    judged = preference_metrics(scores, official_swaps(len(scores)))
    numbers = {"accuracy": judged.accuracy}
    numbers |= {f"swapped/{metric}": value for metric, value in _ratios(judged.swapped).items()}
    for kind in sorted({pair.kind for pair in found}):
        rows = torch.tensor([pair.kind == kind for pair in found])  # (N,) bool
        numbers[f"accuracy/{kind}"] = preference_metrics(scores[rows], torch.zeros(int(rows.sum()))).accuracy
    notes = [
        "accuracy: per pair, a tie is wrong. swapped: a seeded half of the pairs is shown in swapped order."
    ]
    data = {"identity": path_hash(pairs), "split": pairs.name, "items": len(found)}
    return _result("preference", name, identity, data, numbers, notes, _device(reward))


def evaluate_authenticity(
    reward: Reward,
    real: MotionDataset,
    generated: Path,
    name: str,
    identity: str,
    seed: int = 0,
    term: str = "authenticity",
    batch: int = 32,
    reading: ReadingOptions | None = None,
) -> EvaluationResult:
    """Does the reward's term tell real motions from generated ones?

    Each generated motion meets a real one of the same length, so that lengths give nothing away.

    Args:
        reward: whose `term` is the probability that a motion is real.
        real: real motions; generated: folder of generated ones. seed: which real motions are met.
        reading: how the generated motions are read.

    Raises:
        UserError: the real motions are at another rate than the reward learnt.
    """
    if abs(real.fps - (rate := _rate_of(reward))) > SAME_RATE:
        raise UserError(
            f"{real.folder}: its motions are at {real.fps:g} frames a second, and {name} learnt {rate:g}: it would take "
            f"them for slower or faster ones. Write the data set at {rate:g}."
        )
    items = matched(real, read_fakes(generated, [reward.representation], reading, real.fps), seed)
    labels = torch.tensor([int(item.label == GENERATED) for item in items])  # (N,)
    probability = _scores(reward, [item.clip for item in items], term, batch).double()  # (N,)
    judged = authenticity_metrics(torch.stack((probability, 1 - probability), dim=1), labels)
    cells = {metric: float(value) for metric, value in asdict(judged).items() if isinstance(value, int)}
    numbers = _ratios(judged) | {"share_generated": labels.double().mean().item()} | cells
    for kind, label in (("real", 0), ("generated", 1)):
        numbers[f"score/{kind}"] = probability[labels == label].mean().item()
    identities = text_hash(real.identity, path_hash(generated), str(seed))
    data = {"identity": identities, "split": f"{real.split} and {generated.name}", "items": len(items)}
    notes = ["Positive class: generated. Every generated motion meets a real one of the same length."]
    return _result("authenticity", name, identity, data, numbers, notes, _device(reward))


def _rate_of(reward: Reward) -> float:
    """Frames a second at which a reward learnt; those of its features' data sets where it does not say."""
    about = getattr(reward, "about", None)
    said = about.get("fps") if isinstance(about, dict) else None
    width = getattr(reward, "kinematic_width", None)
    return float(said or usual_fps(KINEMATIC, width or SMPL22.features))


def pairs_at(
    place: Path, representation: str, reading: ReadingOptions | None = None, fps: float | None = None
) -> list[Pair]:
    """Preference pairs in one representation, from any of the forms that `evaluate_preference` reads."""
    if place.is_dir():
        listed = place / PAIRS
        return (
            read_pairs(listed, [representation], reading, fps)
            if listed.is_file()
            else _paired_folder(place, representation, reading, fps)
        )
    if place.suffix == ".jsonl":
        return read_pairs(place, [representation], reading, fps)
    return _published(place, representation)


def _published(place: Path, representation: str) -> list[Pair]:
    """Pairs of a published file, brought to the representation; what it holds is known by its shape."""
    content: Any = read_pickle(place)
    found = published_pairs(content, place, "held")
    held = guess_representation(tuple(found[0].better["held"].shape)) if found else None
    if held is None:
        raise UserError(f"{place}: its pairs are of no known representation.")
    sides = ([getattr(pair, side)["held"] for pair in found] for side in (BETTER, WORSE))
    better, worse = (clips_of(motions, held, [representation]) for motions in sides)
    return [Pair(*clips, "published") for clips in zip(better, worse, strict=True)]


def _paired_folder(
    folder: Path, representation: str, reading: ReadingOptions | None, fps: float | None
) -> list[Pair]:
    sides: dict[str, dict[Path, Path]] = {}
    for side in (BETTER, WORSE):
        root = folder / side
        if not root.is_dir():
            forms = f"{PAIRS}, or {BETTER}/NAME.npy and {WORSE}/NAME.npy"
            raise UserError(f"{folder}: no preference pairs: needed is {forms}.")
        sides[side] = {path.relative_to(root).with_suffix(""): path for path in motion_files([root])}
    alone = sorted(str(name) for name in sides[BETTER].keys() ^ sides[WORSE].keys())
    if alone:
        raise UserError(
            f"{folder}: {alone[0]} has no partner ({len(alone)} such motions). Pairs share their name."
        )
    names = sorted(sides[BETTER])
    better, worse = (
        [read_clip(sides[side][name], [representation], reading, fps) for name in names]
        for side in (BETTER, WORSE)
    )
    return [Pair(*clips, "given") for clips in zip(better, worse, strict=True)]


@torch.no_grad()
def _scores(reward: Reward, clips: Sequence[Clip], term: str, batch: int) -> Tensor:
    """(N,) raw values of a term that needs no text, on the CPU."""
    parts = []
    for start in range(0, len(clips), batch):
        motion, lengths = batch_of(clips[start : start + batch], reward.representation, _device(reward))
        parts.append(reward(motion, lengths, reward.prepare([]))[1][term])
    return torch.cat(parts).cpu()


def _result(
    kind: str,
    name: str,
    identity: str,
    data: dict[str, Any],
    numbers: dict[str, float],
    notes: list[str],
    device: torch.device,
) -> EvaluationResult:
    metrics = {metric: [value] for metric, value in numbers.items()}
    subject = {"name": name, "identity": identity}
    return EvaluationResult(kind, subject, {}, data, {}, [0], machine(device), metrics, notes=notes)


def _ratios(found: BinaryMetrics) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("accuracy", "precision", "recall", "f1")}


def _device(reward: Reward) -> torch.device:
    return next(reward.parameters(), torch.empty(0)).device
