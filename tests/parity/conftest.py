"""Ends a parity run with the golden operations that no test knows yet."""

from typing import Any

from tests.parity.golden import golden_folder, not_covered


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List what is not covered: it is not a failure, and it shall not be forgotten."""
    missing = {folder: ops for folder, ops in not_covered().items() if ops}
    if missing:
        terminalreporter.section(f"golden data not covered ({golden_folder()})")
        for folder, ops in sorted(missing.items()):
            terminalreporter.line(f"{folder}: {', '.join(ops)}")
