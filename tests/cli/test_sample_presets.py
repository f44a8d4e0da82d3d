"""Every shipped sample preset on a tiny generator of its family, which must know its sampler, steps and guidance."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.generators import save_generator
from motionrft.settings.discovery import shipped_folder
from tests.cli.conftest import Result
from tests.generators.families import encoder_for, tiny

VARIANTS = {
    "acmdm": "acmdm",
    "hymotion": "hymotion",
    "kimodo": "kimodo",
    "mdm": "mdm",
    "mld": "mld",
    "mldpp": "mld++",
    "motiondiffuse": "motiondiffuse",
    "motionlcm": "motionlcm",
    "quick": "built-in",
    "stablemofusion": "stablemofusion",
}
"""Preset -> the variant of `tests.generators.families` that it is for."""


def test_every_sample_preset_has_a_generator_here() -> None:
    assert sorted(VARIANTS) == sorted(file.stem for file in (shipped_folder() / "sample").glob("*.yaml"))


@pytest.mark.parametrize("preset", VARIANTS)
def test_a_sample_preset_samples(
    preset: str, run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = VARIANTS[preset]
    monkeypatch.setattr("motionrft.text.load_text_encoder", lambda name: encoder_for(variant))
    save_generator(tiny(variant), tmp_path / "model")
    arguments = (
        "--preset",
        preset,
        "--generator",
        str(tmp_path / "model"),
        "--length",
        "24",
        "--format",
        "npy",
    )
    result = run("sample", "a person waves", *arguments, "--json", "--out", str(tmp_path / "out"))
    assert result.code == 0, result.err
    line = json.loads(result.out)
    motion = np.load(line["file"])
    assert len(motion) == line["frames"] == 24 and np.isfinite(motion).all() and motion.std() > 0
