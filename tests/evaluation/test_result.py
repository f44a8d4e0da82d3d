"""Results carry their identity, refuse to be mixed, and compare in pairs; tables print them."""

import dataclasses

import pytest

from motionrft.errors import UserError
from motionrft.evaluation import tables
from motionrft.evaluation.report import report_data, rows_of
from motionrft.evaluation.result import EvaluationResult, check_comparable, compare


def _result(name="a", shift=0.0, **changes) -> EvaluationResult:
    values = {
        "kind": "generation",
        "subject": {"name": name, "identity": name * 8},
        "judge": {"name": "judge", "identity": "j" * 20, "comparable": False},
        "data": {"identity": "d" * 20, "split": "test", "items": 40},
        "protocol": {"selection": "fixed", "steps": 50},
        "seeds": [0, 1, 2],
        "environment": {"device": "cpu"},
        "metrics": {
            "label_r1": [0.5 + shift, 0.6 + shift, 0.7 + shift + 0.001],
            "fid": [1.0, 2.0, float("nan")],
            "raw_r1": [0.1, 0.2, 0.3],
        },
        "real": {"label_r1": [0.9, 0.9, 0.9]},
        "notes": ["50 % of it"],
    }
    return EvaluationResult(**(values | changes))


def test_a_result_is_the_same_after_the_disk(tmp_path):
    result = _result()
    result.save(tmp_path / "result.json")
    again = EvaluationResult.load(tmp_path)
    assert again.plain() == result.plain() and again.mean("label_r1") == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "other"}', '{"format": "motionrft-evaluation-1"}']
)
def test_other_files_are_no_results(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json: (no|damaged)"):
        EvaluationResult.load(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"judge": {"name": "judge", "identity": "other"}}, "evaluator"),
        ({"data": {"identity": "other", "split": "test", "items": 40}}, "data"),
        ({"protocol": {"selection": "official", "steps": 50}}, "protocol"),
        ({"kind": "physics"}, "kind"),
    ],
)
def test_results_of_different_making_are_not_mixed(changes, what):
    with pytest.raises(UserError, match=f"a and b cannot be compared: their {what}"):
        check_comparable([_result(), _result("b", **changes)])


def test_a_generators_own_settings_may_differ():
    check_comparable([_result(), _result("b", protocol={"selection": "fixed", "steps": 5})])


def test_differences_are_paired_by_seed():
    row = next(row for row in compare(_result(), _result("b", 0.1)) if row.metric == "R@1 label")
    change = row.changes[0]
    assert change.mean == pytest.approx(0.1) and change.low == pytest.approx(0.1, abs=1e-6)
    assert row.reference == 0.9 and row.sign() == "better" and row.headline
    with pytest.raises(UserError, match="no pairs"):
        compare(_result(), dataclasses.replace(_result("b"), seeds=[3, 4, 5]))


def test_three_results_share_a_table():
    rows = rows_of([_result(), _result("b", 0.1), _result("c", -0.1)])
    first = next(row for row in rows if row.metric == "R@1 label")
    assert [first.sign(1), first.sign(2)] == ["better", "worse"]
    assert report_data([_result(), _result("b"), _result("c")], []).columns == ("a", "b", "c")


def test_the_interval_is_the_papers():
    mean, half = _result().interval("raw_r1")
    assert mean == pytest.approx(0.2) and half == pytest.approx(1.96 * (0.02 / 3) ** 0.5 / 3**0.5)


def test_latex_and_markdown_escape_and_leave_out_what_is_not_known():
    text = tables.latex([_result("my_model&co")])
    assert "my\\_model\\&co" in text and "$0.600^{\\pm" in text and " -- " in text
    assert text.count("\\\\") == 3 and "% 50 % of it" in text
    table = tables.markdown([_result()])
    assert "| Real motion | – | 0.900 ± 0.000 | – |" in table and "| a | 0.200 ± 0.092 |" in table


def test_one_repetition_has_no_interval():
    single = _result(seeds=[0], metrics={"label_r1": [0.5]}, real={})
    assert tables.shell_table([single]) == (["metric", "a"], [["R@1 label ↑", "0.500"]])


@pytest.mark.parametrize(
    ("name", "label", "good"),
    [
        ("32/t2m/R05", "R@5, 32 candidates, text to motion", "up"),
        ("small/m2t/MedR", "median rank, groups of 32 (TMR), motion to text", "down"),
        ("swapped/f1", "swapped: f1", "up"),
        ("reward/semantic", "reward: semantic", "up"),
        ("true_positive", "true positive", "none"),
    ],
)
def test_names_nobody_listed_are_still_readable(name, label, good):
    from motionrft.evaluation.catalogue import metric_of

    assert (metric_of(name).label, metric_of(name).good) == (label, good)


def test_physics_of_different_motions_is_shown_side_by_side_without_pairs():
    one, other = (
        _result(name, kind="physics", seeds=[], metrics={"jitter": values}, real={})
        for name, values in (("a", [1.0, 2.0, 3.0]), ("b", [4.0, 5.0]))
    )
    (row,) = rows_of([one, other])
    assert [value.mean for value in row.values] == [2.0, 4.5] and row.sign() == "unknown"
