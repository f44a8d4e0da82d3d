"""Several processes build the data set that one builds, to the byte; where one of them fails, none is built."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionrft.errors import RunError
from motionrft.files import dataset_clips, parallel
from motionrft.files.composition import CompositionRecipe
from motionrft.files.dataset import build_dataset
from motionrft.files.dataset_recipe import DatasetRecipe
from motionrft.files.existing import check_dataset, complete_dataset
from motionrft.training import stop_notice
from motionrft.training.distribution import ALONE, Distribution
from tests.files.test_dataset import composing
from tests.processes import together

CPU = torch.device("cpu")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetRecipe:
    """Four clips, one of them a mistake, to be mirrored and composed; they come in rounds of one a process."""
    monkeypatch.setattr(parallel, "_ROUND", 1)
    recipe = composing(tmp_path, CompositionRecipe({"train": 2}, {"train": 1}, held_out=0.0))
    (tmp_path / "npy" / "w1.npy").write_bytes(b"damaged")
    return replace(recipe, mirror=True)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def build(recipe: DatasetRecipe, place: Path, company: Distribution) -> list[tuple[int, int, int]]:
    """In folders with what is composed, in shards without, and a folder that lacks rotations; what is told of each."""
    told = []
    for name, one in (("folders", recipe), ("shards", replace(recipe, layout="shards", compose=None))):
        seen: list[tuple[int, int]] = []
        report = build_dataset(one, place / name, lambda *done, seen=seen: seen.append(done), company)
        told.append((report.clips, len(report.faults), len(seen)))
    if company.main:
        shutil.rmtree(place / "folders" / "rotations")
        (place / "folders" / "Std.npy").unlink()
    check = company.known(lambda: check_dataset(place / "folders"))
    return [*told, (complete_dataset(check, company=company), 0, 0)]


def test_processes_build_and_complete_what_one_does(recipe: DatasetRecipe, tmp_path: Path) -> None:
    alone = build(recipe, tmp_path / "alone", ALONE)
    assert alone == [(6, 1, 4 + 7), (6, 1, 4), (13, 0, 0)]  # seven are composed

    def act(rank: int) -> int:
        with Distribution.join(CPU, timeout=60) as company:
            told = build(recipe, tmp_path / "shared", company)
        return 0 if told == (alone if rank == 0 else [(0, 0, 0)] * 3) else 1

    assert together(act) == [0, 0]
    assert files(tmp_path / "shared") == files(tmp_path / "alone")


def test_a_process_that_fails_ends_all_and_leaves_nothing(
    recipe: DatasetRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_notice, "_HEARD", 0.2)
    before = sorted(tmp_path.iterdir())

    def act(rank: int) -> int:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        if rank == 1:
            dataset_clips.save_clip = full
        try:
            with Distribution.join(CPU, timeout=60) as company:
                build_dataset(recipe, tmp_path / "data", company=company)
        except (RunError, OSError) as error:
            return 3 if "lost the others" in str(error) else 4 if "No space" in str(error) else 5
        return 0

    assert together(act) == [3, 4]
    assert sorted(tmp_path.iterdir()) == before
