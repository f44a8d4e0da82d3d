"""Retrieval evaluation on a small data set."""

import pytest

from motionrft.errors import UserError
from motionrft.evaluation import tables
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.retrieval_protocols import evaluate_retrieval, published_order
from tests.generators.families import WordEncoder


@pytest.fixture(scope="module")
def items(dataset, evaluator):
    return FixedItems.of_dataset(dataset, evaluator)


def test_every_protocol_in_both_directions(items, evaluator, tmp_path):
    names = tmp_path / "subset.txt"
    names.write_text("\n".join(item.key for item in items.items[:9]) + "\n")
    result = evaluate_retrieval(evaluator, items, [0, 1], WordEncoder(), 0.95, names)
    protocols = {name.split("/")[0] for name in result.metrics}
    assert protocols == {"32", "all", "small", "threshold", "dissimilar"}
    assert result.metrics["threshold/t2m/R10"][0] >= result.metrics["all/t2m/R10"][0]
    header, rows = tables.shell_table([result])
    assert header[2:] == ["R@1", "R@2", "R@3", "R@5", "R@10", "median rank"] and len(rows) == 10
    assert "equal texts count, motion to text" in tables.latex([result])


def test_unknown_names_in_the_subset_are_told(items, evaluator, tmp_path):
    (tmp_path / "subset.txt").write_text("clip-000\nnobody\n")
    with pytest.raises(UserError, match="'nobody'"):
        evaluate_retrieval(evaluator, items, [0], dissimilar=tmp_path / "subset.txt")


def test_the_published_shuffle():
    assert published_order(96)[:6].tolist() == [84, 59, 62, 9, 33, 26]
