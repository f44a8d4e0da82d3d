"""The field's metrics as pure functions of tensors: no data set, no model, no random state of their own.

Every random choice (groups of 32, index pairs, swaps) is an argument, made by the small drawing functions
beside the metric, so that a result can be repeated from its recorded draws.
"""

from motionrft.evaluation.metrics.classification import (
    PreferenceMetrics,
    authenticity_metrics,
    preference_metrics,
)
from motionrft.evaluation.metrics.distribution import (
    Gaussian,
    diversity,
    draw_pairs,
    frechet_distance,
    multimodality,
)
from motionrft.evaluation.metrics.precision import (
    coin_flip_bound,
    distinct_groups,
    matching_distance,
    r_precision,
)
from motionrft.evaluation.metrics.retrieval import (
    retrieval_32,
    small_batch_order,
    tmr_all,
    tmr_small_batches,
    tmr_threshold,
)
from motionrft.reward.classification import BinaryMetrics
from motionrft.reward.retrieval import consecutive_groups

__all__ = [
    "BinaryMetrics",
    "Gaussian",
    "PreferenceMetrics",
    "authenticity_metrics",
    "coin_flip_bound",
    "consecutive_groups",
    "distinct_groups",
    "diversity",
    "draw_pairs",
    "frechet_distance",
    "matching_distance",
    "multimodality",
    "preference_metrics",
    "r_precision",
    "retrieval_32",
    "small_batch_order",
    "tmr_all",
    "tmr_small_batches",
    "tmr_threshold",
]
