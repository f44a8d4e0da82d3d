"""A class held out of a data set: every clip of a split is on exactly one side, and the lists are splits of their own."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.files.dataset import check_replaceable
from motionrft.files.hold_out import HeldOutClass, hold_out, is_hold_out_list

CLIPS = {
    "a": ("train", "kick", "a person kicks the ball"),
    "b": ("train", "walk", "someone walks"),
    "c": ("train", "kick", "he kicked high"),
    "d": ("val", "walk", "someone walks, kick-starting a bike"),
    "e": ("test", "kick", "kicking with the left foot"),
    "f": ("test", "walk", "a kicker walks"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    rows = ["clip_id,split,content"]
    for clip, (split, content, text) in CLIPS.items():
        rows.append(f"{clip},{split},{content}")
        (tmp_path / "texts" / f"{clip}.txt").write_text(
            f"something#kick/VERB#0.0#0.0\n{text}#a/DET#0.0#0.0\n"
        )
    (tmp_path / "index.csv").write_text("\n".join(rows))
    for split in ("train", "val", "test"):
        names = [clip for clip, (its, *_) in CLIPS.items() if its == split]
        (tmp_path / f"{split}.txt").write_text("\n".join(names) + "\n")
    return tmp_path


def lists(folder: Path, name: str) -> dict[str, list[str]]:
    found = ("train-without", "val-without", "tune", "test")
    return {prefix: (folder / f"{prefix}-{name}.txt").read_text().split() for prefix in found}


def test_a_class_of_the_index_is_on_one_side(folder: Path) -> None:
    counts = hold_out(folder, HeldOutClass.parse("content=kick"))
    assert lists(folder, "kick") == {
        "train-without": ["b"], "val-without": ["d"], "tune": ["a", "c"], "test": ["e"],
    }  # fmt: skip
    assert counts == {"train-without-kick": 1, "val-without-kick": 1, "tune-kick": 2, "test-kick": 1}


@pytest.mark.parametrize("held", ["content=kick", "style=odd"])
def test_what_is_composed_of_a_class_belongs_to_it(folder: Path, held: str) -> None:
    rows = [
        f"{clip},{split},{content},{'odd' if content == 'kick' else ''},"
        for clip, (split, content, _) in CLIPS.items()
    ]
    rows += ["walks,train,walk>walk,composed,b|d", "both,train,walk>kick,composed,b|a"]
    (folder / "index.csv").write_text("\n".join(["clip_id,split,content,style,parts", *rows]))
    (folder / "train.txt").write_text("both\na\nwalks\nb\n")
    hold_out(folder, HeldOutClass.parse(held))
    found = lists(folder, held.partition("=")[2])
    assert (found["train-without"], found["tune"]) == (["walks", "b"], ["both", "a"])


def test_a_class_can_be_what_captions_say_in_its_usual_forms(folder: Path) -> None:
    hold_out(folder, HeldOutClass.parse("caption=kick"))
    assert lists(folder, "kick") == {
        "train-without": ["b"], "val-without": [], "tune": ["a", "c"], "test": ["e"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kick", "give KEY=VALUE"),
        ("content=jump", "no clip with content=jump in train.txt"),
        ("kind=kick", "no column 'kind'; it has clip_id, split, content"),
        ("caption=something", "nothing else than clip"),
    ],
)
def test_what_cannot_be_held_out_is_said(folder: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        hold_out(folder, HeldOutClass.parse(text))
    assert not list(folder.glob("tune-*"))


def test_without_an_index_the_captions_are_pointed_to(folder: Path) -> None:
    (folder / "index.csv").unlink()
    with pytest.raises(UserError, match="--hold-out caption=WORD"):
        hold_out(folder, HeldOutClass.parse("content=kick"))


def test_the_lists_do_not_stand_in_the_way_of_building_the_folder_anew(folder: Path) -> None:
    (folder / "dataset.json").write_text("{}")
    check_replaceable(folder)
    hold_out(folder, HeldOutClass.parse("content=kick"))
    check_replaceable(folder)
    assert is_hold_out_list("tune-kick.txt") and not is_hold_out_list("notes.txt")
