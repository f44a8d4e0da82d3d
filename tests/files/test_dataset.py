"""The data set folder: whole or absent, checked, completed."""

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.data import GroupedBatches, MotionDataset
from motionrft.errors import UserError
from motionrft.files import Motion, write_motion
from motionrft.files.captions import mirror_caption
from motionrft.files.clip_writing import FOLDERS
from motionrft.files.composition import CompositionRecipe
from motionrft.files.dataset import build_dataset
from motionrft.files.dataset_recipe import DatasetRecipe
from motionrft.files.existing import check_dataset, complete_dataset, is_dataset
from motionrft.representations.kinematic import kinematic_to_joints
from motionrft.representations.rotation import rotation_to_joints
from motionrft.representations.statistics import Statistics
from tests.representations.people import people

CLIPS = {"a": ("train", 40), "b": ("train", 50), "c": ("val", 40), "d": ("test", 45), "short": ("train", 12)}


@pytest.fixture
def recipe(tmp_path: Path) -> DatasetRecipe:
    motions = tmp_path / "bvh"
    for number, (clip, (_, frames)) in enumerate(CLIPS.items()):
        joints = people(frames, number)[0].float().numpy()
        write_motion(motions / f"{clip}.bvh", Motion(joints, "joints", 30.0, motions))
    (motions / "broken.bvh").write_text("HIERARCHY")
    (motions / "mute.bvh").write_text("HIERARCHY")
    captions = {clip: [f"a person walks to the left#{clip}", "  someone\tturns clockwise"] for clip in CLIPS}
    captions["broken"] = ["nothing"]
    lines = [json.dumps({"clip_id": clip, "captions": texts}) for clip, texts in captions.items()]
    (tmp_path / "captions.jsonl").write_text("\ufeff" + "\n".join(lines) + "\n\n")
    with open(tmp_path / "splits.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "split", "style"])
        writer.writerows([clip, split, "calm"] for clip, (split, _) in CLIPS.items())
        writer.writerows([[clip, "train", "wild"] for clip in ("broken", "mute", "absent")])
    (tmp_path / "ATTRIBUTION.md").write_text("made up")
    return DatasetRecipe((motions,), tmp_path / "captions.jsonl", tmp_path / "splits.csv", min_frames=16)


def test_the_folder_has_every_representation_and_says_what_is_missing(
    recipe: DatasetRecipe, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    report = build_dataset(recipe, out)
    assert report.clips == 4 and report.splits == {"train": 2, "val": 1, "test": 1}
    assert report.too_short == ["short"] and report.without_captions == ["mute"]
    assert [fault.source.name for fault in report.faults] == ["broken.bvh"]
    features = np.load(out / "new_joint_vecs/a.npy")
    joints = np.load(out / "new_joints/a.npy")
    rotation = np.load(out / "rotations/a.npy")
    # 40 frames at 30 fps are 27 at 20, and features have one fewer.
    assert (features.shape, joints.shape, rotation.shape) == ((26, 263), (26, 22, 3), (26, 135))
    again = kinematic_to_joints(torch.from_numpy(features)[None])[0]
    torch.testing.assert_close(again, torch.from_numpy(joints), rtol=0, atol=1e-5)
    assert (rotation_to_joints(torch.from_numpy(rotation)[None])[0] - again).norm(dim=-1).mean() < 0.03
    assert (out / "texts/a.txt").read_text() == (
        "a person walks to the left a##0.0#0.0\nsomeone turns clockwise##0.0#0.0\n"
    )
    assert (out / "train.txt").read_text() == "a\nb\n"
    assert (out / "index.csv").read_text().splitlines()[:2] == ["clip_id,split,style", "a,train,calm"]
    card = json.loads((out / "dataset.json").read_text())
    assert card["fps"] == 20 and card["left_out"]["too_short"] == ["short"]
    assert (out / "ATTRIBUTION.md").is_file() and not (out / "new_joints/short.npy").exists()


def test_statistics_are_those_of_the_training_split(recipe: DatasetRecipe, tmp_path: Path) -> None:
    build_dataset(recipe, tmp_path / "data")
    for representation, folder in FOLDERS.items():
        clips = [np.load(tmp_path / "data" / folder / f"{clip}.npy") for clip in "ab"]
        expected = Statistics.of_clips(clips, representation)
        found = Statistics.load(tmp_path / "data", representation)
        torch.testing.assert_close(found.mean, expected.mean)
        torch.testing.assert_close(found.std, expected.std)


def test_in_shards_it_is_the_same_set(recipe: DatasetRecipe, tmp_path: Path) -> None:
    from dataclasses import replace

    mirrored = replace(recipe, mirror=True)
    files, packed = tmp_path / "files", tmp_path / "packed"
    told = [
        build_dataset(each, out).plain()
        for each, out in ((mirrored, files), (replace(mirrored, layout="shards"), packed))
    ]
    assert told[0] == told[1]
    names = {path.name for path in packed.iterdir()}
    assert names == {path.name for path in files.iterdir()} - {*FOLDERS.values(), "texts"} | {
        "shards",
        "shards.json",
    }
    for path in files.iterdir():
        assert path.is_dir() or path.read_bytes() == (packed / path.name).read_bytes()
    loose, sharded = MotionDataset(files, "train"), MotionDataset(packed, "train")
    assert list(loose.items) == list(sharded.items) and len(loose) == 4
    for item in range(len(loose)):
        for name in loose.representations:
            assert torch.equal(loose.motion(item, name), sharded.motion(item, name))
    build_dataset(
        replace(recipe, layout="shards"), packed
    )  # replaces what is a data set of ours and nothing else
    (packed / "shards" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"holds shards/thesis\.tex"):
        build_dataset(recipe, packed)


def test_shards_are_checked_and_are_not_added_to(recipe: DatasetRecipe, tmp_path: Path) -> None:
    from dataclasses import replace

    out = tmp_path / "data"
    build_dataset(replace(recipe, layout="shards"), out)
    assert is_dataset(out)
    (out / "Mean_135.npy").unlink()
    check = check_dataset(out)
    assert check.counts["train"] == 2 and not check.problems and check.frames > 100
    assert complete_dataset(check) == 0 and (out / "Mean_135.npy").is_file()
    with (out / "val.txt").open("a") as file:
        file.write("nobody\n")
    assert check_dataset(out).problems == {"listed but missing": ["nobody"]}
    check.lacking.append("rotation")
    with pytest.raises(UserError, match="shards have no rotation, and are not added to"):
        complete_dataset(check)


def test_mirrored_clips_come_with_mirrored_captions(recipe: DatasetRecipe, tmp_path: Path) -> None:
    from dataclasses import replace

    report = build_dataset(replace(recipe, mirror=True), tmp_path / "data")
    assert report.clips == 8 and report.splits["train"] == 4
    text = (tmp_path / "data/texts/Ma.txt").read_text()
    assert "to the right" in text and "counterclockwise" in text
    left = np.load(tmp_path / "data/new_joints/a.npy")[:, 20, 0]
    right = np.load(tmp_path / "data/new_joints/Ma.npy")[:, 21, 0]
    np.testing.assert_allclose(left, -right, atol=0.05)


@pytest.mark.parametrize(
    "caption, mirrored",
    [
        ("turns left", "turns right"),
        ("stands upright with the Right hand up", "stands upright with the Left hand up"),
        ("steps rightwards, then left-handed", "steps leftwards, then right-handed"),
        ("dances brightly with leftover food", "dances brightly with leftover food"),
        ("turns anticlockwise", "turns clockwise"),
        ("turns counter-clockwise, then clockwise", "turns clockwise, then counterclockwise"),
    ],
)
def test_a_mirrored_caption_exchanges_sides_and_nothing_else(caption: str, mirrored: str) -> None:
    assert mirror_caption(caption) == mirrored


def test_a_mirrored_clip_is_of_the_mirrored_kind(recipe: DatasetRecipe, tmp_path: Path) -> None:
    from dataclasses import replace

    rows = [line.split(",") for line in recipe.splits.read_text().splitlines()]
    kinds = ["content", *(["raise-left-hand"] * (len(rows) - 1))]
    recipe.splits.write_text("\n".join(",".join([*row, kind]) for row, kind in zip(rows, kinds, strict=True)))
    build_dataset(replace(recipe, mirror=True), tmp_path / "data")
    found = (tmp_path / "data/index.csv").read_text().splitlines()[1:]
    for line in found:
        side = "right" if line.startswith("M") else "left"
        assert line.endswith(f"raise-{side}-hand")


def test_an_archive_serves_as_well_as_a_folder(recipe: DatasetRecipe, tmp_path: Path) -> None:
    from dataclasses import replace

    with tarfile.open(tmp_path / "bvh.tar.xz", "w:xz") as archive:
        archive.add(recipe.motions[0], "bvh")
    report = build_dataset(replace(recipe, motions=(tmp_path / "bvh.tar.xz",)), tmp_path / "data")
    assert report.clips == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    (tmp_path / "bad.tar.xz").write_bytes(b"not an archive")
    with pytest.raises(UserError, match=r"bad\.tar\.xz: damaged"):
        build_dataset(replace(recipe, motions=(tmp_path / "bad.tar.xz",)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("captions.jsonl", "{nonsense", "line 1: no valid JSON"),
        ("splits.csv", "clip_id,fold\na,train\n", "no column 'split'"),
        ("splits.csv", "clip_id,split\na,dev\n", "line 2: split is 'dev'"),
        ("splits.csv", "clip_id,split\nz,train\n", "no motion has a row"),
        ("splits.csv", "clip_id,split\nc,val\n", "no clip is in the training split"),
        ("splits.csv", "clip_id,split\nshort,train\n", "no clip is left: 1 too short"),
    ],
)
def test_mistakes_leave_no_folder(
    recipe: DatasetRecipe, tmp_path: Path, file: str, text: str, says: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=says):
        build_dataset(recipe, tmp_path / "data")
    assert not list(tmp_path.glob("data*"))


def test_an_existing_folder_is_checked_and_completed(recipe: DatasetRecipe, tmp_path: Path) -> None:
    out = tmp_path / "data"
    build_dataset(recipe, out)
    expected = np.load(out / "rotations/a.npy")
    for child in [*(out / "rotations").iterdir(), *out.glob("*_135.npy")]:
        child.unlink()
    (out / "rotations").rmdir()
    bad = np.load(out / "new_joint_vecs/b.npy")
    bad[3] = np.nan
    np.save(out / "new_joint_vecs/b.npy", bad)
    (out / "texts/c.txt").unlink()
    (out / "test.txt").write_text("d\nghost\n")
    assert is_dataset(out) and not is_dataset(tmp_path)
    check = check_dataset(out)
    assert check.width == 263 and check.lacking == ["rotation"]
    assert check.problems == {"NaN": ["b"], "no captions": ["c"], "listed but missing": ["ghost"]}
    assert complete_dataset(check) == 3
    np.testing.assert_allclose(np.load(out / "rotations/a.npy"), expected, atol=1e-5)
    assert not (out / "rotations/b.npy").exists()
    assert Statistics.load(out, "rotation").mean.shape == (135,)
    assert check_dataset(out).lacking == []
    with pytest.raises(UserError, match="no data set"):
        check_dataset(tmp_path)


def composing(
    tmp_path: Path, compose: CompositionRecipe, columns: str = "content,style,split"
) -> DatasetRecipe:
    kinds = {"w0": "walk", "w1": "walk", "b0": "bow", "b1": "bow"}
    lines = []
    for number, clip in enumerate(kinds):
        write_motion(
            tmp_path / "npy" / f"{clip}.npy",
            Motion(people(50, number)[0].float().numpy(), "joints", 20.0, tmp_path),
        )
        lines.append(json.dumps({"clip_id": clip, "captions": [f"a person {kinds[clip]}s"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    rows = [f"{clip},{kind},calm,train" for clip, kind in kinds.items()]
    (tmp_path / "splits.csv").write_text(f"clip_id,{columns}\n" + "\n".join(rows))
    return DatasetRecipe(
        (tmp_path / "npy",), tmp_path / "captions.jsonl", tmp_path / "splits.csv", compose=compose
    )


def test_composed_clips_join_a_splits_own_clips_and_say_which_belong_together(tmp_path: Path) -> None:
    recipe = composing(tmp_path, CompositionRecipe({"train": 2}, {"train": 1}, held_out=0.0))
    seen = []
    report = build_dataset(recipe, tmp_path / "data", lambda *done: seen.append(done))
    assert (report.clips, report.composed, report.splits["train"]) == (4, 7, 11)
    assert seen[-8:] == [(4, 4), *((done, 7) for done in range(1, 8))]
    dataset = MotionDataset(tmp_path / "data", "train")
    assert sorted(dataset.groups.tolist()) == [-1] * 4 + [0, 0, 0, 1, 1, 2, 2]
    pair = [item for item in dataset.items if item.key.startswith("train-pair-0000")]
    assert {item.label for item in pair} == {"walk>bow/composed", "bow>walk/composed"}
    with open(tmp_path / "data/index.csv", newline="") as file:
        parts = {row["clip_id"]: row["parts"].split("|") for row in csv.DictReader(file)}
    assert parts["w0"] == [""] and set(parts["train-pair-0000-a"]) == set(parts["train-pair-0000-b"])
    assert len(parts["train-pair-0000-a"]) == 2 and len(parts["train-count-0000-3"]) == 1
    assert pair[0].length == 2 * 49 - 8 - 1
    batches = GroupedBatches(dataset, 6, seed=0)
    for step in range(10):
        items = batches[step]
        labels = dataset.labels[items]
        assert len(labels.unique()) == len(labels)
    whole = {group: (dataset.groups == group).sum() for group in range(3)}
    grouped = dataset.groups[batches[0]]
    assert any((grouped == group).sum() == size for group, size in whole.items())


def test_what_cannot_be_composed_is_said_and_what_was_asked_is_kept(tmp_path: Path) -> None:
    asked = CompositionRecipe({"train": 1, "test": 5}, {}, together={"train": 4}, held_out=0.0)
    report = build_dataset(composing(tmp_path, asked), tmp_path / "data")
    assert [sentence.partition(" groups")[0] for sentence in report.shortfalls] == [
        "compose.pairs: 0 of 5",
        "compose.together: 0 of 4",
    ]
    card = json.loads((tmp_path / "data/dataset.json").read_text())
    assert card["compose"]["pairs"] == {"train": 1, "test": 5} and card["compose"]["cut"] == []


@pytest.mark.parametrize(
    "columns, said", [("kind,style,split", "no column 'content'"), ("content,group,split", "column 'group'")]
)
def test_a_table_that_cannot_be_composed_from_is_refused_before_anything_is_read(
    tmp_path: Path, columns: str, said: str
) -> None:
    recipe = composing(tmp_path, CompositionRecipe({"train": 1}, {}), columns)
    recipe.captions.write_text("")
    (tmp_path / "npy" / "w0.npy").write_bytes(b"damaged")
    with pytest.raises(UserError, match=said):
        build_dataset(recipe, tmp_path / "data")
