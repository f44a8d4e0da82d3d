"""Constraints as people keep them: one file, a line a prompt, or Kimodo's folders."""

import json
from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.generators.wishes import NOTHING, ByPrompt, read_wishes_at

PATH = [{"type": "root2d", "frame_indices": [0], "smooth_root_2d": [[0, 0]]}]


def folder(place: Path, **texts: object) -> Path:
    for name, meta in texts.items():
        (place / name).mkdir(parents=True)
        (place / name / "meta.json").write_text(json.dumps(meta))
        (place / name / "constraints.json").write_text(json.dumps(PATH))
    return place


def test_a_list_is_everybodys(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(PATH))
    assert read_wishes_at(tmp_path / "a.json") == PATH


@pytest.mark.parametrize("form", ["lines", "folders"])
def test_prompts_are_known_however_they_are_written(form: str, tmp_path: Path) -> None:
    place = tmp_path / "all.jsonl"
    if form == "lines":
        entries = [{"text": text, "constraints": PATH} for text in ("A person walks.", "it sits")]
        place.write_text("\n".join(map(json.dumps, entries)) + "\n\n")
    else:
        place = folder(
            tmp_path / "cases", a={"text": "A person walks.", "duration": 4}, b={"text": "it sits"}
        )
    found = read_wishes_at(place)
    assert isinstance(found, ByPrompt) and found.lists == [PATH, PATH]
    assert [found.place(text) for text in ("a  person walks", "It sits.", "it runs", "")] == [
        0,
        1,
        NOTHING,
        NOTHING,
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "line 1: an object of text and constraints"),
        ('{"text": " ", "constraints": []}', "a prompt is wanted"),
        (
            '{"text": "a", "constraints": []}\n{"text": "A.", "constraints": []}',
            "line 2: the prompt 'A.' stands in .*line 1",
        ),
        ('{"text": "a", "constraints": NaN}', "line 1: .*NaN is no JSON number"),
        ("[1", "line 1"),
        ("", "no constraints"),
    ],
)
def test_wrong_lines_are_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text(text)
    with pytest.raises(UserError, match=rf"all\.jsonl: .*{said}|all\.jsonl.*{said}"):
        read_wishes_at(tmp_path / "all.jsonl")


def test_folders_without_a_text_or_without_constraints_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"meta\.json: no text"):
        read_wishes_at(folder(tmp_path / "several", a={"texts": ["a", "b"]}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no constraints"):
        read_wishes_at(tmp_path / "empty")
