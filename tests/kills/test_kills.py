"""A data set whose writing is killed is made whole by the next call; `python -m tests.kills` batters every command."""

from pathlib import Path

import pytest

from tests.kills.commands import COMMANDS
from tests.kills.engine import batter


@pytest.mark.slow
def test_killed_and_called_again_a_command_makes_the_same(tmp_path: Path) -> None:
    tally = batter(COMMANDS["convert --dataset"], tmp_path, kills=2, seed=1, say=lambda text: None)
    assert tally.kills == 2 and not tally.faults
