"""A data set in a generator's terms: converted and resampled where it must be, untouched where it need not."""

from pathlib import Path

import pytest
import torch

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import UserError
from motionrft.generators.folder import build_generator
from motionrft.pretraining.biased import biased
from motionrft.pretraining.states import Frames, stack_padded
from motionrft.pretraining.windows import Windows
from motionrft.representations.convert import convert
from motionrft.representations.mirror import mirror
from motionrft.representations.statistics import Statistics
from motionrft.training.distribution import Distribution
from tests.generators.families import TINY
from tests.pretraining.people_data import write_people


def motions(folder: Path, name: str, **settings: object) -> Motions:
    generator = build_generator(TINY[name] | settings)
    wanted = generator.trained_on, generator.fps, generator.max_frames
    return Motions(MotionDataset(folder, "train"), *wanted)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people") / "set")


def test_the_folders_own_motions_and_statistics_are_taken_as_they_are(people: Path) -> None:
    for name, representation in (("mdm", "kinematic"), ("acmdm", "joints")):
        found = motions(people, name)
        assert torch.equal(found.motion(0), found.dataset.motion(0, representation))
        assert torch.equal(found.statistics.std, found.dataset.statistics(representation).std)


def test_hymotion_gets_201_features_at_30_frames_a_second(people: Path) -> None:
    found = motions(people, "hymotion")
    stored = found.dataset.motion(0, "rotation")
    clip = found.motion(0)
    assert clip.shape == (1 + (len(stored) - 1) * 3 // 2, 201)
    # Every third of the new frames is every second of the old ones, and the positions are those of the rotations.
    torch.testing.assert_close(clip[::3, :135], stored[::2], atol=1e-5, rtol=0)
    whole = convert(clip[None, :, :135], "rotation", "hymotion")[0]
    torch.testing.assert_close(clip, whole, atol=1e-5, rtol=0)
    assert found.statistics.mean.shape == (201,)


def test_a_folder_of_one_representation_serves_every_family(tmp_path: Path) -> None:
    folder = write_people(tmp_path / "set", ["rotation"])
    widths = {name: motions(folder, name).motion(0).shape[1] for name in ("mdm", "acmdm", "hymotion")}
    assert widths == {"mdm": 263, "acmdm": 66, "hymotion": 201}


@pytest.mark.parametrize("fps", [20.0, 30.0, 12.5])
@pytest.mark.parametrize("representation", ["kinematic", "joints", "hymotion"])
@pytest.mark.parametrize("source", ["kinematic", "joints", "rotation"])
def test_lengths_are_known_before_a_clip_is_read(
    people: Path, monkeypatch: pytest.MonkeyPatch, source: str, representation: str, fps: float
) -> None:
    dataset = MotionDataset(people, "train")
    monkeypatch.setitem(vars(dataset), "representations", (source,))
    found = Motions(dataset, representation, fps, longest=45)
    known = found.lengths[:3].tolist()
    assert known == [len(found.motion(item)) for item in range(3)]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_reads_its_rows_of_a_batch_alone_and_they_are_those_of_the_whole(
    people: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    """Windows of the first stage, and frames of the second, which are as long as the longest of all."""
    found = motions(people, "mdm")
    monkeypatch.setattr(found, "expect", lambda items: None)
    company, statistics, generator = Distribution(rank, 2), found.statistics, build_generator(TINY["mdm"])
    rows, items = company.rows(5), torch.tensor([3, 0, 2, 1, 0])
    windows = [Windows(found, statistics, 5, 20, 0, True, each)[1] for each in (Distribution(), company)]
    drawn = [Frames(generator, found).draw(items, torch.Generator(), part) for part in (slice(None), rows)]
    for whole, part in (windows, drawn):
        assert torch.equal(part[0], whole[0][rows]) and torch.equal(part[1], whole[1])
    read = []
    motion = found.motion
    monkeypatch.setattr(found, "motion", lambda item, *mirrored: read.append(item) or motion(item, *mirrored))
    Frames(generator, found).draw(items, torch.Generator(), rows)
    assert read == items[rows].tolist()
    Windows(found, statistics, 5, 20, 0, True, company)[1]
    assert len(read) == 2 * len(items[rows])


def test_clips_are_cut_to_the_generators_longest(people: Path) -> None:
    assert len(motions(people, "mdm", max_frames=30).motion(0)) == 30


def test_a_mirrored_clip_is_the_mirror_image_of_the_clip(people: Path) -> None:
    found = motions(people, "hymotion")
    clip, mirrored = found.motion(0), found.motion(0, mirrored=True)
    assert not torch.allclose(mirrored, clip)
    torch.testing.assert_close(mirror(mirrored, "hymotion"), clip)


def test_a_bias_divides_the_roots_and_the_contacts_std() -> None:
    plain = Statistics(torch.zeros(263), torch.ones(263))
    std = biased(plain, "kinematic", 5.0).std
    assert (std == 0.2).nonzero()[:, 0].tolist() == [0, 1, 2, 3, 259, 260, 261, 262]
    assert (plain.std == 1).all() and biased(plain, "joints", 1.0) is plain
    with pytest.raises(UserError, match="joints"):
        biased(plain, "joints", 5.0)


def test_states_of_unequal_sizes_are_stacked_with_zeros_behind() -> None:
    stacked = stack_padded([torch.ones(4, 2, 3), torch.ones(4, 5, 3)], (4, 5, 3))
    assert stacked.shape == (2, 4, 5, 3) and (stacked[0, :, 2:] == 0).all() and stacked.sum() == 24 + 60
