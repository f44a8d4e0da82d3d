"""How well a reward's critic and its authenticity head judge: pairs of motions, and real against generated
ones."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.evaluation.measure import converted
from motionrft.evaluation.metrics import (
    BinaryMetrics,
    authenticity_metrics,
    preference_metrics,
    seeded_swap,
)
from motionrft.evaluation.result import EvaluationResult, machine
from motionrft.files import motion_files, read_motions
from motionrft.reward.base import Reward
from motionrft.training.fingerprints import folder_hash, text_hash

BETTER, WORSE = "better", "worse"


def evaluate_preference(
    reward: Reward, pairs: Path, name: str, identity: str, term: str = "preference", batch: int = 32
) -> EvaluationResult:
    """Does the reward's term prefer what people preferred?

    Args:
        reward: with `term` among its terms.
        pairs: folder with `better/NAME.npy` and `worse/NAME.npy`.

    Raises:
        UserError: no pairs, or a motion without its partner.
    """
    better, worse = _paired_files(pairs)
    scores = torch.stack([_scores(reward, paths, term, batch) for paths in (better, worse)], dim=1)
    found = preference_metrics(scores, seeded_swap(len(scores)))
    numbers = {"accuracy": found.accuracy, **{f"swapped/{k}": v for k, v in _ratios(found.swapped).items()}}
    notes = [
        "accuracy: per pair, a tie is wrong. swapped: a seeded half of the pairs is shown in swapped order (seed 42)."
    ]
    return _result(
        "preference", name, identity, {"identity": folder_hash(pairs), "items": len(scores)}, numbers, notes
    )


def evaluate_authenticity(
    reward: Reward,
    real: MotionDataset,
    generated: Path,
    name: str,
    identity: str,
    term: str = "authenticity",
    batch: int = 32,
) -> EvaluationResult:
    """Does the reward's term tell real motions from generated ones?

    Args:
        reward: whose `term` is the probability that a motion is real.
        real: real motions; generated: folder of generated ones.
    """
    motions = [real.motion(i, reward.representation) for i in range(len(real))]
    of_real = _score_motions(reward, motions, reward.representation, term, batch)
    of_generated = _scores(reward, motion_files([generated]), term, batch)
    probability = torch.cat((of_real, of_generated)).double()
    labels = torch.cat((torch.zeros(len(of_real)), torch.ones(len(of_generated)))).long()
    found = authenticity_metrics(torch.stack((probability, 1 - probability), dim=1), labels)
    cells = {k: float(v) for k, v in asdict(found).items() if "true" in k or "false" in k}
    share = len(of_generated) / len(labels)
    numbers = _ratios(found) | {"share_generated": share} | cells
    numbers |= {"score/real": of_real.mean().item(), "score/generated": of_generated.mean().item()}
    data = {"identity": text_hash(real.identity, folder_hash(generated)), "items": len(labels)}
    notes = [
        "Positive class: generated. A share of generated motions far from one half inflates precision or recall."
    ]
    return _result("authenticity", name, identity, data, numbers, notes)


def _result(
    kind: str, name: str, identity: str, data: dict, numbers: dict[str, float], notes: list[str]
) -> EvaluationResult:
    metrics = {metric: [value] for metric, value in numbers.items()}
    data = {"split": "all", **data}
    return EvaluationResult(
        kind, {"name": name, "identity": identity}, {}, data, {}, [0], machine("cpu"), metrics, notes=notes
    )


def _ratios(found: BinaryMetrics) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("accuracy", "precision", "recall", "f1")}


def _paired_files(folder: Path) -> tuple[list[Path], list[Path]]:
    sides = []
    for side in (BETTER, WORSE):
        if not (folder / side).is_dir():
            raise UserError(
                f"{folder}: no preference pairs: needed are {BETTER}/NAME.npy and {WORSE}/NAME.npy."
            )
        sides.append(
            {path.relative_to(folder / side).with_suffix(""): path for path in motion_files([folder / side])}
        )
    better, worse = sides
    alone = sorted(str(name) for name in better.keys() ^ worse.keys())
    if alone:
        raise UserError(
            f"{folder}: {alone[0]} has no partner ({len(alone)} such motions). Pairs share their name."
        )
    names = sorted(better)
    return [better[name] for name in names], [worse[name] for name in names]


def _scores(reward: Reward, paths: Sequence[Path], term: str, batch: int) -> Tensor:
    """(N,) raw scores of the motions in the files."""
    motions = [motion for path in paths for motion in read_motions(path)]
    if not motions:
        raise UserError("there are no motions to judge.")
    kinds = {motion.representation for motion in motions}
    if len(kinds) > 1:
        raise UserError(
            f"the motions are of several representations ({', '.join(sorted(kinds))}); convert them to one."
        )
    arrays = [torch.from_numpy(motion.array) for motion in motions]
    return _score_motions(reward, arrays, motions[0].representation, term, batch)


@torch.no_grad()
def _score_motions(
    reward: Reward, motions: Sequence[Tensor], representation: str, term: str, batch: int
) -> Tensor:
    device, parts = next(reward.parameters()).device, []
    for start in range(0, len(motions), batch):
        padded, lengths = pad(motions[start : start + batch])
        padded, lengths = converted(
            padded.to(device), lengths.to(device), representation, reward.representation
        )
        terms = reward(padded, lengths, reward.prepare([]))[1]
        parts.append(terms[term].cpu())
    return torch.cat(parts)
