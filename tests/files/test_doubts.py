"""Features that are normalised, or de-normalised twice, raise doubt in every representation; capture raises none."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from motionrft.files import read_motions
from motionrft.files.checks import doubtful
from motionrft.representations.convert import convert
from motionrft.representations.statistics import Statistics

CAPTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "cmu" / "joints"
CLIPS = 12
NAMES = ("kinematic", "joints", "rotation", "hymotion")

pytestmark = pytest.mark.skipif(not CAPTURE.is_dir(), reason=f"{CAPTURE} is not here")


@cache
def capture() -> list[torch.Tensor]:
    """Real motions, (1, T, 22, 3): how far each joint turns decides what twice de-normalised features look like."""
    files = sorted(CAPTURE.glob("*.npy"))[:CLIPS]
    return [torch.from_numpy(read_motions(file, fps=20.0)[0].array[:200])[None] for file in files]


@cache
def clips(representation: str) -> list[torch.Tensor]:
    return [convert(clip, "joints", representation)[0] for clip in capture()]


def doubts(representation: str, change: Callable[[Statistics, torch.Tensor], torch.Tensor]) -> int:
    found = clips(representation)
    statistics = Statistics.of_clips(found, representation)
    return sum(doubtful(change(statistics, clip).numpy(), representation) is not None for clip in found)


@pytest.mark.parametrize("representation", NAMES)
def test_capture_raises_no_doubt(representation: str) -> None:
    assert doubts(representation, lambda statistics, clip: clip) == 0


@pytest.mark.parametrize("representation", NAMES)
def test_normalised_features_raise_doubt(representation: str) -> None:
    assert doubts(representation, lambda statistics, clip: statistics.normalise(clip)) >= 0.9 * CLIPS


@pytest.mark.parametrize("representation", NAMES)
def test_features_denormalised_twice_raise_doubt(representation: str) -> None:
    assert doubts(representation, lambda statistics, clip: statistics.denormalise(clip)) >= 0.9 * CLIPS


def test_features_scaled_by_foreign_statistics_raise_doubt() -> None:
    draws = torch.Generator().manual_seed(0)
    foreign = Statistics(torch.randn(263, generator=draws) / 9, 0.5 + torch.rand(263, generator=draws))
    for scaled in (foreign.denormalise, foreign.normalise):
        found = [doubtful(scaled(clip).numpy(), "kinematic") for clip in clips("kinematic")]
        assert sum(doubt is not None for doubt in found) >= 0.9 * CLIPS
    generated = [clip + 0.02 * torch.randn(clip.shape, generator=draws) for clip in clips("kinematic")]
    assert not any(doubtful(clip.numpy(), "kinematic") for clip in generated)
