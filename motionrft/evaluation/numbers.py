"""The metrics of one repetition, from embeddings, labels and item-wise measures. Tensors in, () tensors
out."""

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.evaluation import metrics
from motionrft.evaluation.caption_agreement import agreement, named_hand, named_turn
from motionrft.evaluation.items import Drawn
from motionrft.evaluation.measure import Measured
from motionrft.evaluation.metrics.exact import exact
from motionrft.physics import MEASURES
from motionrft.training.seeds import generator_for

CANDIDATES = 32
DISTINCT_GROUPS = 20
"""Groups that `distinct` R-Precision averages over; rare kinds are reused in many of them."""
LABEL_SHUFFLES = 10
"""Shuffles into groups that `label` R-Precision averages over: the same expectation as one, a third of its noise.
`raw` keeps to the one that publications take."""
DIVERSITY_PAIRS = 300
"""As published; half of the items where there are no more than that."""

Numbers = dict[str, Tensor]


def check_enough(items: int) -> None:
    """Raise `UserError` where no group of 32 can be formed."""
    if items < CANDIDATES:
        raise UserError(
            f"{items} motions are too few: R-Precision ranks {CANDIDATES} candidates, so at least {CANDIDATES} "
            "motions with captions are needed (and more than the embedding is wide for FID)."
        )


def generation_numbers(drawn: Drawn, text: Tensor, made: Measured, seed: int) -> Numbers:
    """All metrics of N motions that were made for the drawn items.

    Args:
        text: (N, E) embeddings of the captions. made: of the motions, in the same order.
        seed: decides groups and pairs, so that two generators under one seed are compared on the same ones.
    """
    if not made.embeddings.shape[1]:
        return _bodily(drawn, made)
    # Real motions that were embedded before wait on the host, whatever device embeds the captions.
    precision = _precision(drawn, text.to(made.embeddings.device), made.embeddings, seed)
    count = len(drawn.keys)
    pairs = DIVERSITY_PAIRS if count > DIVERSITY_PAIRS else count // 2
    first, second = metrics.draw_pairs(count, pairs, generator_for(seed, "diversity"))  # (pairs,) each
    result = precision | {"diversity": metrics.diversity(made.embeddings, first, second)}
    if drawn.real is not None:
        real = drawn.real.gaussian.to(made.embeddings.device)
        result["fid"] = metrics.frechet_distance(real, made.gaussian)
    return result | _bodily(drawn, made)


def real_numbers(drawn: Drawn, text: Tensor, seed: int) -> Numbers:
    """The same of the real motions themselves; their FID is between two random halves."""
    if drawn.real is None:
        return {}
    result = generation_numbers(drawn, text, drawn.real, seed)
    if not drawn.real.embeddings.shape[1]:
        return result
    order = torch.randperm(len(drawn.keys), generator=generator_for(seed, "halves"))  # (N,)
    halves = [metrics.Gaussian.fit(drawn.real.embeddings[half]) for half in order.chunk(2)]
    return result | {"fid": metrics.frechet_distance(*halves)}


def multimodality(embeddings: Tensor, seed: int, pairs: int = 10) -> Tensor:
    """MultiModality of (P, R, E): P captions, R generations each; the same pairs for all captions."""
    first, second = metrics.draw_pairs(embeddings.shape[1], pairs, generator_for(seed, "multimodality"))
    return metrics.multimodality(embeddings, first, second)


def _precision(drawn: Drawn, text: Tensor, motion: Tensor, seed: int) -> Numbers:
    draws = generator_for(seed, "groups")
    orders = [torch.randperm(len(drawn.keys), generator=draws) for _ in range(LABEL_SHUFFLES)]  # (N,) each
    shuffled = [metrics.consecutive_groups(order, CANDIDATES) for order in orders]  # (G, 32) each
    groups = shuffled[0]
    result = _tops("raw", metrics.r_precision(text, motion, groups))
    result["mm_dist"] = metrics.matching_distance(text, motion, groups)
    if drawn.labels is None:
        return result
    result |= _tops("bound", metrics.coin_flip_bound(drawn.labels, groups))
    result |= _tops("label", metrics.r_precision(text, motion, torch.cat(shuffled), labels=drawn.labels))
    distinct = metrics.distinct_groups(
        drawn.labels, CANDIDATES, DISTINCT_GROUPS, generator_for(seed, "distinct groups")
    )
    found = _tops("distinct", metrics.r_precision(text, motion, distinct))
    telling = min(distinct.shape[1] - 1, len(found))  # everything is among the first k of k candidates
    return result | dict(list(found.items())[:telling])


def few_kinds(labels: Tensor) -> str | None:
    """What to say of `distinct` R-Precision where there are fewer kinds of motion (N,) than it ranks."""
    kinds = len(labels.unique())
    if kinds >= CANDIDATES:
        return None
    if kinds == 1:
        return "All items show one kind of motion: no distinct R-Precision, and label R-Precision is 100 % for anybody."
    return (
        f"Distinct R-Precision ranks {kinds} candidates, for there are {kinds} kinds of motion: chance is 1 in {kinds}, "
        f"and it compares with nothing among {CANDIDATES}."
    )


def _bodily(drawn: Drawn, made: Measured) -> Numbers:
    result = {name: exact(made.physics[name]).mean() for name in MEASURES}
    for name, named in (("hand", named_hand), ("turn", named_turn)):
        sides = [named(caption.text) for caption in drawn.captions]
        if any(sides) and name in made.physics:
            result[f"{name}_as_told"] = agreement(sides, made.physics[name])
    return result


def _tops(protocol: str, values: Tensor) -> Numbers:
    return {f"{protocol}_r{top}": value for top, value in zip((1, 2, 3), values, strict=True)}
