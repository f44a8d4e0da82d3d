"""What the tests of the evaluation share."""

from pathlib import Path

import pytest

from motionrft.data import MotionDataset
from motionrft.evaluation.evaluators import Evaluator
from tests.evaluation.toys import toy_evaluator, write_dataset


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="session")
def dataset(folder: Path) -> MotionDataset:
    return MotionDataset(folder, "test")


@pytest.fixture(scope="session")
def evaluator() -> Evaluator:
    return toy_evaluator()
