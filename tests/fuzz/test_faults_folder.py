"""Every file of the folder of faults ends as its row says: a code, one line, nothing written, nothing overwritten."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Result, run  # noqa: F401 - a fixture
from tests.fuzz.fault_rows import Row, cases

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "faults"
CASES = cases(FOLDER) if FOLDER.is_dir() else []

pytestmark = pytest.mark.skipif(not CASES, reason=f"{FOLDER} is not here")


def test_every_file_has_its_row() -> None:
    files = {path for path in FOLDER.iterdir() if path.name not in ("INDEX.md", "cache-wrong-width.txt")}
    assert files == {path for path, _ in CASES}


@pytest.mark.parametrize(("fault", "row"), CASES, ids=[path.name for path, _ in CASES])
def test_a_fault_ends_as_its_row_says(
    run: Callable[..., Result],  # noqa: F811
    tmp_path: Path,
    fault: Path,
    row: Row,
) -> None:
    result = run(*row.prepare(fault, tmp_path))
    assert result.code in row.codes and all(word in result.err for word in row.said), result
    assert "Traceback" not in result.err
    if result.code:
        told = [line for line in result.err.splitlines() if line.startswith(("error:", "warning: skipped"))]
        assert len(told) == 1, result.err
        assert not (tmp_path / "set").exists()
    row.check(tmp_path)
