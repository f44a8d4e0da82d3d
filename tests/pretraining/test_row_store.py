"""What is made of every clip lies in files, read by row; a run that goes on finds it, and anything else makes it anew."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.errors import Interrupted, RunError, UserError
from motionrft.pretraining.joint_stage import JointLatents
from motionrft.pretraining.row_store import Encoder, Rows, RowStore, moments
from motionrft.representations.names import KINEMATIC
from motionrft.training.distribution import Distribution
from tests.generators.families import tiny
from tests.processes import together

CPU = torch.device("cpu")


@dataclass
class Making:
    """Rows of a data set's first features, of as many numbers as a clip has frames; counts how many are made."""

    motions: Motions
    encoder: Encoder = field(default_factory=lambda: Encoder(_line(), torch.zeros(2), torch.ones(2)))
    made: int = 0

    def __call__(self, items: range) -> list[Tensor]:
        self.made += len(items)
        return [self.motions.motion(item)[:, 0] for item in items]

    def rows(self, store: RowStore, mirrored: bool = False):
        return store.rows(self.motions, mirrored, self.encoder, self, at_once=3)


def _line() -> nn.Module:
    line = nn.Linear(2, 2)
    nn.init.ones_(line.weight)
    nn.init.zeros_(line.bias)
    return line


@pytest.fixture
def making(data: Path) -> Making:
    return Making(Motions(MotionDataset(data, "train", 16, 196), KINEMATIC, 20.0))


def test_rows_are_read_as_they_were_made_and_are_gone_at_a_good_end(making: Making, tmp_path: Path) -> None:
    with RowStore(tmp_path / "rows") as store:
        rows = making.rows(store)
        rows.expect([0, 11])
        for item in (11, 0, 5):
            assert torch.equal(rows[item], making.motions.motion(item)[:, 0])
        assert [len(block) for block in rows.blocks(5)] == [5, 5, 2] and making.made == 12
        assert rows.sizes.tolist() == making.motions.lengths.tolist()
    assert not (tmp_path / "rows").exists()


def test_a_run_that_goes_on_finds_what_would_be_made_alike(making: Making, tmp_path: Path) -> None:
    def again(one: Making, stop: Exception | None = None) -> int:
        before = one.made
        with pytest.raises(RunError), RowStore(tmp_path / "rows") as store:
            assert torch.equal(one.rows(store)[7], making.motions.motion(7)[:, 0])
            raise stop or RunError("killed")
        return one.made - before

    assert [again(making), again(making)] == [12, 0]
    (part,) = (tmp_path / "rows").glob("*.bin")
    part.write_bytes(part.read_bytes()[:-4])
    assert again(making) == 12, "cut"
    (tmp_path / "rows" / "train.json").write_text("{")
    assert again(making) == 12, "damaged"
    with torch.no_grad():
        making.encoder.network.weight += 1e-6
    assert [again(making), again(making)] == [12, 0], "another autoencoder"
    other = Making(making.motions, Encoder(making.encoder.network, torch.zeros(2), torch.full((2,), 2.0)))
    assert again(other) == 12, "other statistics"
    (Path(making.motions.dataset.folder) / "texts" / "train0.txt").write_text("another##0.0#0.0\n")
    changed = Motions(MotionDataset(making.motions.dataset.folder, "train", 16, 196), KINEMATIC, 20.0)
    assert again(Making(changed, other.encoder)) == 12, "another data set"


@pytest.mark.parametrize("stop", [UserError("refused"), Interrupted("stopped", 75)])
def test_what_is_refused_leaves_nothing_and_what_is_stopped_can_go_on(
    making: Making, tmp_path: Path, stop: Exception
) -> None:
    with pytest.raises(type(stop)), RowStore(tmp_path / "rows") as store:
        making.rows(store)
        raise stop
    assert (tmp_path / "rows").exists() == isinstance(stop, Interrupted)


def test_a_file_that_is_cut_while_it_is_read_is_named(making: Making, tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=r"train\.000\.bin: ends before row 11"),
        RowStore(tmp_path / "rows") as store,
    ):
        rows = making.rows(store)
        rows.paths[0].write_bytes(b"")
        rows[11]


def test_processes_make_rows_together_and_one_finds_them(making: Making, tmp_path: Path) -> None:
    def act(rank: int) -> int:
        with Distribution.join(CPU, timeout=60) as company:
            try:
                with RowStore(tmp_path / "rows", company) as store:
                    rows = making.rows(store)
                    right = all(torch.equal(rows[i], making.motions.motion(i)[:, 0]) for i in range(12))
                    raise Interrupted("stopped", 75, together=True)
            except Interrupted:
                return 0 if right and making.made == 6 else 1

    assert together(act) == [0, 0]
    with RowStore(tmp_path / "rows") as store:
        assert torch.equal(making.rows(store)[10], making.motions.motion(10)[:, 0]) and making.made == 0


def test_joint_latents_are_whitened_and_zero_beyond_their_own_frames(tmp_path: Path) -> None:
    """As large as those of the whole batch, whichever of its rows are drawn."""
    generator = tiny("acmdm")
    channels, joints = len(generator.latent_mean), generator.joints
    generator.latent_mean.copy_(torch.arange(channels))
    generator.latent_std.fill_(2.0)
    clips = [torch.randn(channels, frames, joints) for frames in (3, 7, 5)]
    (tmp_path / "rows.bin").write_bytes(b"".join(clip.numpy().tobytes() for clip in clips))
    sizes = torch.tensor([clip.numel() for clip in clips])
    latents = JointLatents(
        generator,
        Rows([tmp_path / "rows.bin"], sizes, 1, torch.float32),
        torch.tensor([12, 28, 20]),
    )
    drawn, lengths = latents.draw(torch.tensor([2, 1, 0]), torch.Generator(), slice(0, 3, 2))
    assert drawn.shape == (2, channels, 7, joints) and lengths.tolist() == [20, 28, 12]
    for row, clip in zip(drawn, (clips[2], clips[0]), strict=True):
        frames = clip.shape[1]
        expected = (clip - generator.latent_mean[:, None, None]) / generator.latent_std[:, None, None]
        assert torch.equal(row[:, :frames], expected) and not row[:, frames:].any()


def test_moments_are_those_of_all_vectors_together() -> None:
    values = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1e4
    mean, variance = moments(iter(values.split(17)))
    torch.testing.assert_close(mean, values.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(variance, values.var(0), rtol=1e-9, atol=0)
