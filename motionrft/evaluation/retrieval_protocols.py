"""Retrieval protocols of a text-motion judge (evaluator or reward) on real motions."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from motionrft.data import read_prompts
from motionrft.errors import UserError
from motionrft.evaluation import metrics
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.items import Drawn, FixedItems
from motionrft.evaluation.metrics.exact import exact
from motionrft.evaluation.numbers import CANDIDATES, check_enough
from motionrft.evaluation.result import EvaluationResult, collect, machine
from motionrft.text.base import TextEncoder

_SHUFFLE_SEED = 42
"""Of the 32-candidate protocol, as published."""


def evaluate_retrieval(
    judge: Evaluator,
    items: FixedItems,
    seeds: Sequence[int],
    sentences: TextEncoder | None = None,
    threshold: float = 0.95,
    dissimilar: Path | None = None,
    precision: str = "fp32",
) -> EvaluationResult:
    """Every protocol on the same captions, once a seed; a seed draws one caption an item.

    Args:
        items: with real motions embedded by `judge`.
        sentences: encoder with a pooled vector, which says which texts are the same; None leaves `threshold`
            out. dissimilar: file of item names, the subset of TMR's third protocol; None leaves it out.

    Raises:
        UserError: fewer than 32 items, items without real motions, or names in the subset that no item has.
    """
    items.check_evaluator(judge)
    check_enough(len(items.items))
    subset = None if dissimilar is None else _subset(items, dissimilar)
    repetitions = []
    for seed in seeds:
        drawn = items.draw(seed)
        if drawn.real is None:
            raise UserError("retrieval needs real motions; bare prompts have none.")
        text = torch.cat([judge.embed_text(chunk) for chunk in _chunks(drawn.captions)])  # (N, E)
        repetitions.append(
            _numbers(drawn, text, drawn.real.embeddings.to(text.device), sentences, threshold, subset)
        )
    protocol = {"candidates": CANDIDATES, "threshold": threshold if sentences else None}
    return EvaluationResult(
        "retrieval",
        {"name": judge.name, "identity": judge.identity},
        {},
        {"identity": items.identity, "split": items.split, "items": len(items.items)},
        protocol | {"sentences": sentences.name if sentences else None, "dissimilar": dissimilar is not None},
        list(seeds),
        machine(next(judge.parameters()).device, precision),
        collect(repetitions),
        notes=[
            "Recalls in per cent. 32 candidates: incomplete last group dropped. The other protocols are TMR's."
        ],
    )


def published_order(items: int) -> Tensor:
    """(items,) shuffled as the 32-candidate protocol does: python's generator, seed 42."""
    order = list(range(items))
    random.Random(_SHUFFLE_SEED).shuffle(order)
    return torch.tensor(order)  # (N,)


def _numbers(
    drawn: Drawn,
    text: Tensor,
    motion: Tensor,
    sentences: TextEncoder | None,
    threshold: float,
    subset: Tensor | None,
) -> dict[str, Tensor]:
    normalise = torch.nn.functional.normalize
    similarity = (normalise(exact(text), dim=1) @ normalise(exact(motion), dim=1).T + 1) / 2  # (N, N)
    by_name = torch.tensor(sorted(range(len(drawn.keys)), key=lambda row: drawn.keys[row]))  # (N,)
    order = by_name[metrics.small_batch_order(len(drawn.keys))]  # (N,)
    candidates = metrics.retrieval_32(text, motion, published_order(len(drawn.keys)))
    candidates["avg"] = torch.stack([v for name, v in candidates.items() if "/R" in name]).mean()
    protocols = {
        "32": candidates,
        "all": metrics.tmr_all(similarity),
        "small": metrics.tmr_small_batches(similarity, order),
    }
    if sentences is not None:
        protocols["threshold"] = metrics.tmr_threshold(similarity, _pooled(sentences, drawn), threshold)
    if subset is not None:
        protocols["dissimilar"] = metrics.tmr_all(similarity[subset][:, subset])
    return {
        f"{protocol}/{name}": value for protocol, found in protocols.items() for name, value in found.items()
    }


def _pooled(encoder: TextEncoder, drawn: Drawn) -> Tensor:
    pooled = encoder.encode([caption.text for caption in drawn.captions]).pooled
    if pooled is None:
        raise UserError(
            f"the text encoder {encoder.name} has no sentence vector; name another with --set sentences=…"
        )
    return pooled.float().cpu()  # (N, E)


def _subset(items: FixedItems, path: Path) -> Tensor:
    wanted = read_prompts(path)
    rows = {item.key: row for row, item in enumerate(items.items)}
    missing = [name for name in wanted if name not in rows]
    if missing:
        raise UserError(f"{path}: {len(missing)} names are no items of the split, {missing[0]!r} first.")
    return torch.tensor([rows[name] for name in wanted])  # (M,) rows


def _chunks(captions: Sequence, size: int = 128) -> list[Sequence]:
    return [captions[start : start + size] for start in range(0, len(captions), size)]
