"""Every shipped sample preset on a tiny generator of its family, which must know its sampler, steps and guidance."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motionrft.generators import build_generator, save_generator
from motionrft.settings.discovery import shipped_folder
from tests.cli.conftest import Result
from tests.generators.families import encoder_for, tiny
from tests.generators.token_families import TINY_TOKENS, word_tokenizer

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
    assert sorted([*VARIANTS, "motiongpt"]) == sorted(
        file.stem for file in (shipped_folder() / "sample").glob("*.yaml")
    )


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


def test_motiongpt_samples_as_published(run: Callable[..., Result], tmp_path: Path) -> None:
    """What is no motion is counted on stderr; `--steps` is no setting of a language model."""
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    config = TINY_TOKENS["motiongpt"] | {"tokenizer": str(tmp_path)}
    save_generator(build_generator(config), tmp_path / "model")
    common = ("--generator", str(tmp_path / "model"), "--length", "24", "--format", "npy", "--json")
    places = ("--out", str(tmp_path / "out"), "--preset", "motiongpt")
    result = run("sample", "a person walks", "run", "--num", "4", *common, *places)
    assert result.code == 0, result.err
    frames = [json.loads(line)["frames"] for line in result.out.splitlines()]
    assert len(frames) == 8 and max(frames) <= 24
    assert "8 motions" in result.err
    refused = run("sample", "run", "--steps", "5", *common, "--out", str(tmp_path / "other"))
    assert refused.code == 2 and "leave steps out" in refused.err and not (tmp_path / "other").exists()
