"""presets/README.md is what the models say, and the README leads to files that are there."""

import re
from pathlib import Path

import pytest

from motionrft_cli.reference import settings_page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "presets" / "README.md").read_text(encoding="utf-8")
    assert written == settings_page(), "run: python -m motionrft_cli.reference > presets/README.md"


def test_every_setting_is_explained() -> None:
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 200
    assert [row[0] for row in rows if not row[3].strip()] == []


@pytest.mark.parametrize("page", ["README.md", "tests/benchmarks/README.md"])
def test_links_lead_to_files_and_rooms_named_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    places = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [place for place in places if not ((ROOT / page).parent / place).exists()]
    map_of = re.search(r"## Where things are\n\n```\n(.*?)```", text, re.S)
    rooms = re.findall(r"(\w+)/", map_of[1].split("motionrft/", 1)[1].split("presets/")[0]) if map_of else []
    missing += [room for room in rooms if not (ROOT / "motionrft" / room).is_dir()]
    assert missing == [] and (page != "README.md" or len(rooms) > 12)
