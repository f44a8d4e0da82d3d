"""An evaluation is taken up where it was made of the same, and made again, with a reason, where it was not."""

from pathlib import Path

import pytest

from motionrft.evaluation.result import EvaluationResult
from motionrft.finetuning.kept_evaluations import KeptEvaluations

MADE_OF = {"seeds": [0, 1], "generator": "abc"}


def made(number: float) -> EvaluationResult:
    return EvaluationResult("generation", {"name": "after"}, {}, {}, {}, [0, 1], {}, {"fid": [number, 0.1]})


def taken(folder: Path, made_of: dict, number: float) -> tuple[float, list[str]]:
    """FID of the first seed, of an evaluation that would give `number`; and what was said."""
    told: list[str] = []
    result, _ = KeptEvaluations(folder, told.append).of("after", made_of, lambda keep: made(number))
    return result.metrics["fid"][0], told


def test_the_same_is_taken_up(tmp_path: Path) -> None:
    assert taken(tmp_path, MADE_OF, 1.0) == (1.0, [])
    number, told = taken(tmp_path, dict(MADE_OF), 2.0)
    assert number == 1.0 and "taken up" in told[0]


def test_a_changed_setting_evaluates_again_and_says_so(tmp_path: Path) -> None:
    taken(tmp_path, MADE_OF, 1.0)
    number, told = taken(tmp_path, {**MADE_OF, "seeds": [0]}, 2.0)
    assert number == 2.0 and told[0].endswith(
        "evaluated again, since what it was made of has changed: seeds."
    )
    assert taken(tmp_path, {**MADE_OF, "seeds": [0]}, 3.0)[0] == 2.0


@pytest.mark.parametrize("name", ["after.json", "after.npz"])
def test_what_is_cut_short_is_made_again(tmp_path: Path, name: str) -> None:
    taken(tmp_path, MADE_OF, 1.0)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:50])
    number, told = taken(tmp_path, MADE_OF, 2.0)
    assert number == 2.0 and "nothing whole says" in told[0]
