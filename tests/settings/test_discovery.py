"""Where presets are found, and what is said when they are not."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.settings.discovery import find_preset, list_presets, purpose_of, shipped_folder


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "mini.yaml").write_text("\n# A small one.\n# more\nsteps: 3\n")
    (tmp_path / "toy" / "large.yml").write_text("steps: 3\n# not at the head\n")
    (tmp_path / "loose.yaml").write_text("# Loose.\n")
    (tmp_path / "toy" / "notes.txt").write_text("no preset")
    return {"MOTIONRFT_PRESET_PATH": f"{tmp_path / 'absent'}:{tmp_path}"}


def test_the_list_has_names_and_first_comment_lines(own: dict[str, str]) -> None:
    listed = {each.name: each.purpose for each in list_presets("toy", own)}
    assert listed == {"large": "", "loose": "Loose.", "mini": "A small one."}


def test_a_name_is_found_on_the_users_path(own: dict[str, str]) -> None:
    assert find_preset("toy", "mini", own).name == "mini.yaml"


def test_a_file_is_taken_as_it_is(own: dict[str, str], tmp_path: Path) -> None:
    assert find_preset("toy", str(tmp_path / "loose.yaml"), {}) == tmp_path / "loose.yaml"


def test_a_near_miss_is_told_the_nearest_name(own: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"Did you mean mini\?"):
        find_preset("toy", "minni", own)


def test_a_file_that_is_not_there_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        find_preset("toy", str(tmp_path / "x.yaml"), {})
    with pytest.raises(UserError, match="folder"):
        find_preset("toy", str(tmp_path), {})


def test_the_shipped_folder_is_there_and_says_what_each_file_is_for() -> None:
    files = sorted(shipped_folder().glob("*/*.yaml"))
    assert files
    assert [file.name for file in files if not purpose_of(file)] == []
