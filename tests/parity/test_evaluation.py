"""Golden parity of the evaluation: metrics, networks and word tables, case by case; sizes come from each
file."""

import pytest
import torch
from torch import Tensor

from motionrft import intervals
from motionrft.evaluation import metrics
from motionrft.evaluation.evaluators.guo import GuoNetwork
from motionrft.evaluation.evaluators.loading import guo_size
from motionrft.evaluation.evaluators.words import WordVectorizer
from motionrft.evaluation.metrics.exact import exact
from motionrft.official.evaluators import deal_out
from motionrft.physics import physics_measures
from tests.parity.golden import Case, cases


def close(actual: Tensor | float, expected: Tensor, name: str, rtol: float = 0.0, atol: float = 0.0) -> None:
    actual = torch.as_tensor(actual, dtype=torch.float64).detach().reshape(expected.shape)
    torch.testing.assert_close(actual, expected.double(), rtol=rtol, atol=atol, msg=lambda m: f"{name}: {m}")


def generation_metrics(case: Case) -> None:
    x = case.tensors
    text, motion, real = x["in/text"], x["in/motion"], x["in/ground_truth"]
    groups = metrics.consecutive_groups(torch.arange(len(text)), case.info["batch"])
    tops = range(1, x["out/r_precision_top10"].numel() + 1)
    precision = metrics.r_precision(text, motion, groups, tops)
    close(precision, x["out/r_precision_top10"], "r_precision_top10", atol=1e-12)
    close(precision[:3], x["out/r_precision_top1_3"], "r_precision_top1_3", atol=1e-12)
    close(metrics.matching_distance(text, motion, groups), x["out/mm_dist"], "mm_dist", rtol=1e-4)
    a, b = metrics.Gaussian.fit(real), metrics.Gaussian.fit(motion)
    rtol = 1e-2 if a.singular or b.singular else 1e-3
    close(metrics.frechet_distance(a, b), x["out/fid"], "fid", rtol=rtol, atol=1e-4)
    assert abs(metrics.frechet_distance(a, a).item()) < 1e-3
    spread = metrics.diversity(motion, x["in/diversity_first"], x["in/diversity_second"])
    close(spread, x["out/diversity"], "diversity", rtol=1e-4)


def multimodality(case: Case) -> None:
    x = case.tensors
    value = metrics.multimodality(x["in/motion"], x["in/first"], x["in/second"])
    close(value, x["out/multimodality"], "multimodality", rtol=1e-4)


def replications(case: Case) -> None:
    found = [intervals.replications(column.tolist()) for column in case.tensors["in/values"].T]
    means, halves = (
        torch.tensor([getattr(one, name) for one in found], dtype=torch.float64)
        for name in ("mean", "half_width")
    )
    close(means, case.tensors["out/mean"], "mean", rtol=1e-12)
    close(halves, case.tensors["out/interval"], "interval", rtol=1e-10)


def tmr_retrieval(case: Case) -> None:
    x = case.tensors
    similarity = x["in/similarity"]
    results = {
        "all": metrics.tmr_all(similarity),
        "threshold": metrics.tmr_threshold(similarity, x["in/sentence_embeddings"], case.info["threshold"]),
        "small_batches": metrics.tmr_small_batches(similarity, x["in/small_batch_order"]),
    }
    for protocol, result in results.items():
        for key, value in result.items():
            close(value, x[f"out/{protocol}/{key}"], f"{protocol}/{key}", atol=1e-9)


def retrieval_32(case: Case) -> None:
    x = case.tensors
    text, motion, order = x["in/text"], x["in/motion"], x["in/order"]
    groups = metrics.retrieval_32(text, motion, order)
    whole = metrics.retrieval_32(text, motion, order, size=len(order))
    for key in (key for key in x if key.startswith("out/")):
        name = key.removeprefix("out/").removeprefix("whole_set_").replace("/R", "/R0").replace("R010", "R10")
        close((whole if "whole_set" in key else groups)[name], x[key], key, atol=2e-3)


def preference(case: Case) -> None:
    x = case.tensors
    result = metrics.preference_metrics(x["in/scores"], x["in/swap"])
    close(result.accuracy, x["out/accuracy"], "accuracy", atol=1e-12)
    close(result.swapped.accuracy, x["out/accuracy_after_swap"], "accuracy_after_swap", atol=1e-12)
    for name in ("precision", "recall", "f1"):
        close(getattr(result.swapped, name), x[f"out/{name}"], name, atol=1e-12)


def authenticity(case: Case) -> None:
    x = case.tensors
    result = metrics.authenticity_metrics(x["in/logits"], x["in/labels"])
    for name in ("accuracy", "precision", "recall", "f1"):
        close(getattr(result, name), x[f"out/{name}"], name, atol=1e-12)
    cells = [result.true_positive, result.false_positive, result.false_negative, result.true_negative]
    assert cells == x["out/confusion_tp_fp_fn_tn"].tolist()


def evaluator(case: Case) -> None:
    x = case.tensors
    groups: dict[str, dict[str, Tensor]] = {}
    for key in (key for key in x if key.startswith("weights/")):
        _, group, name = key.split("/", 2)
        groups.setdefault(group, {})[name] = x[key]
    state = deal_out(groups)
    network = GuoNetwork(guo_size(state)).eval()
    network.load_state_dict(state)
    motion, lengths = x["in/motion"], x["in/lengths"]
    text = network.text(x["in/word_embeddings"], x["in/pos_one_hot"], x["in/caption_lengths"])
    close(network.movement_encoder(motion), x["out/movement"], "movement", atol=1e-5)
    close(network.motion(motion, lengths), x["out/motion_embedding"], "motion_embedding", atol=1e-5)
    close(text, x["out/text_embedding"], "text_embedding", atol=1e-5)
    turned = torch.arange(len(lengths)).flip(0)
    ascending = network.motion(motion[turned], lengths[turned])
    close(ascending[turned], x["out/motion_embedding"], "motion_embedding in ascending order", atol=1e-5)


def word_vectorizer(case: Case) -> None:
    x = case.tensors
    rows = {word: row for row, word in enumerate(case.info["vocabulary"])}
    words, tags = WordVectorizer(rows, x["in/vectors"])(case.info["tokens"])
    close(words, x["out/word_embeddings"], "word_embeddings")
    close(tags, x["out/pos_one_hot"], "pos_one_hot")


def physical_metrics(case: Case) -> None:
    x = case.tensors
    joints, fps = x["in/joints"][None], case.info["fps"]
    lengths = torch.tensor([joints.shape[1]])
    names = ("skating_ratio", "jitter", "penetration", "floating", "bone_length_drift")
    for name, value in physics_measures(exact(joints), lengths, fps, names).items():
        close(value, x[f"out/{name}"], name, rtol=1e-4, atol=1e-9)


CHECKS = {
    check.__name__: check
    for check in (
        generation_metrics,
        multimodality,
        replications,
        tmr_retrieval,
        retrieval_32,
        preference,
        authenticity,
        evaluator,
        word_vectorizer,
        physical_metrics,
    )
}


@pytest.mark.parametrize("case", cases("evaluation", where=lambda info: info["op"] in CHECKS), ids=str)
def test_evaluation(case: Case) -> None:
    CHECKS[case.op](case)
