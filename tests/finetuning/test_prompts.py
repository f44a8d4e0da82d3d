"""Recorded motions of prompts: converted once, however often a prompt is met."""

from pathlib import Path

import torch

from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.finetuning.prompts import from_dataset
from tests.evaluation.toys import write_dataset
from tests.finetuning.small import small_generator


def test_a_motion_that_is_met_again_is_not_converted_again(tmp_path: Path, monkeypatch) -> None:
    prompts = from_dataset(MotionDataset(write_dataset(tmp_path / "set", 4), "test"), small_generator(), 0)
    made, make = list[int](), Motions._make
    monkeypatch.setattr(Motions, "_make", lambda motions, clip: made.append(len(clip)) or make(motions, clip))
    items = torch.arange(2)
    first, again = (prompts.motions(items, "joints", 30.0) for _ in range(2))
    assert torch.equal(first, again) and len(made) == 2
    prompts.motions(items, "joints", 15.0)
    assert len(made) == 4
