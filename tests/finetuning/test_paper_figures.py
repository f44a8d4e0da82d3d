"""Ratios of the article's figures from numbers that are known."""

import math

from motionrft.finetuning.paper_figures import Measured, of_diagnostics, of_refinement, of_runs, retrieval
from motionrft.report.content import Series

MIB = 2**20


def run(name: str, seconds: float, held: float, rewards: list[float], **terms: list[float]) -> Measured:
    lines = []
    for number, reward in enumerate(rewards):
        more = {f"reward/{term}": values[number] for term, values in terms.items()}
        lines.append({"seconds": seconds, "graph_bytes": held * MIB, "reward": reward, **more})
    return Measured(name, lines)


def chart(**lines: list[float]) -> list[Series]:
    return [Series("chart", name, range(len(values)), values) for name, values in lines.items()]


def test_diagnostics_are_told_as_ratios() -> None:
    charts = {
        "gradients": chart(chain=[0.1, 0.5, 1.0], alone=[2.0, 1.5, 1.0]),
        "similarity": chart(state=[0.0, 0.2, 0.5, 1.0], clean=[0.5, 0.95, 0.97, 1.0]),
        "memory": [
            Series("m", "easytune", (10, 100), (5.0, 5.0)),
            Series("m", "draft", (10, 100), (5.0, 45.0)),
        ],
    }
    gradients, similarity, memory = of_diagnostics(charts, "easytune")
    assert gradients.here == "0.05 at the noisiest step, 0.333 half-way"
    assert similarity.here == "50% for clean predictions, 100% for states"
    assert memory.here == "easytune 1.00, draft 9.00"


def test_charts_that_were_not_drawn_are_not_told() -> None:
    assert of_diagnostics({"memory": []}, "ddpo") == []


def test_runs_are_compared_with_the_first() -> None:
    easytune = run("easytune", 2.0, 10.0, [0.5] * 9 + [0.9], preference=[-11.0] * 9 + [-8.0])
    draft = run("draft", 7.0, 40.0, [0.5] * 9 + [0.7])
    memory, time, reward, terms = of_runs([easytune, draft])
    assert memory.here == "1.00 of its peak, 0.25 of draft's"
    assert time.here == "2.00 s for easytune; draft 3.5"
    assert reward.here == "easytune 0.900, draft 0.700"
    judged = run("easytune", 1.0, 1.0, [1.9], semantic=[0.9])
    assert judged.reward == 0.9, "where other terms are rewarded too, the article's is the semantic one"
    assert terms.number == "11" and terms.here == "preference -11 to -8"


def test_terms_that_were_not_rewarded_are_not_told() -> None:
    plain = run("easytune", 1.0, 1.0, [0.5])
    assert math.isnan(plain.mean("reward/preference", late=True))
    assert [figure.number for figure in of_runs([plain])] == ["9", "10", "10"]


def test_a_refined_reward_tells_its_retrieval() -> None:
    def recalls(value: float) -> dict[str, dict[str, dict[str, float]]]:
        return {"kinematic": {"raw": {f"t2m/R{top}": value for top in (1, 2, 3, 5, 10)}}}

    about = {"recall_before": recalls(80.0), "recall": recalls(81.5)}
    (figure,) = of_refinement(about, None, None)
    assert figure.number == "15" and "R@3 80.00 to 81.50 (+1.50)" in figure.here
    assert [line.name for line in retrieval(about)] == ["before SPL", "after SPL"]
    assert of_refinement({}, None, None) == [] and retrieval({}) == []
