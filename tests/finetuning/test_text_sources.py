"""A run whose texts come from a file: no text encoder is needed, and what the file lacks is said before anything."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from motionrft.errors import UserError
from motionrft.finetuning.estimate import estimate
from motionrft.finetuning.loading import identities, load_parts, load_tuned
from motionrft.finetuning.preset import EvaluationPart, FinetunePreset
from motionrft.finetuning.run import FinetuneSession
from motionrft.generators.folder import save_generator
from motionrft.generators.kimodo import Kimodo
from motionrft.registry import TEXT_ENCODERS
from tests.generators.families import KIMODO, TEXT_WIDTH
from tests.text.vectors import OneVector

TEXTS = ["a person walks", "a person waves", "they sit"]


class Wide(OneVector):
    width = TEXT_WIDTH


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FinetunePreset:
    monkeypatch.setitem(TEXT_ENCODERS.added, "one", (lambda path, device: Wide(), "a test"))
    config = {"denoiser": KIMODO, "text": "one", "text_features": "tokens", "steps": 8}
    save_generator(Kimodo.from_config(config).eval(), tmp_path / "kimodo")
    (tmp_path / "prompts.txt").write_text("\n".join(TEXTS))
    save_file(
        {text: torch.full((TEXT_WIDTH,), float(len(text))) for text in TEXTS}, tmp_path / "f.safetensors"
    )
    return FinetunePreset.of(
        {
            "generator": str(tmp_path / "kimodo"),
            "prompts": str(tmp_path / "prompts.txt"),
            "text_features": str(tmp_path / "f.safetensors"),
            "weights": {"jitter": 0.001},
            "method": {"method": "easytune", "k": 2},
            "steps": 4,
            "batch": 2,
            "frames": 24,
            "watch": {"every": 0},
            "evaluation": {"prompts": 0},
        }
    )


def test_texts_come_from_the_file_whose_content_is_part_of_the_run(
    preset: FinetunePreset, tmp_path: Path
) -> None:
    generator = load_tuned(preset, "cpu")
    found = generator.encode_text(["They sit.", ""]).text.tokens
    assert found[0].unique().tolist() == [8.0] and not found[1].any()
    before = identities(preset)["text"]
    save_file({"they sit": torch.zeros(TEXT_WIDTH)}, tmp_path / "f.safetensors")
    assert identities(preset)["text"] != before


def test_a_dry_run_needs_no_encoder_and_names_what_the_file_lacks(
    preset: FinetunePreset, tmp_path: Path
) -> None:
    session = FinetuneSession(tmp_path / "none", torch.device("cpu"))
    assert estimate(preset, session).text == "all 3 texts are encoded"
    (tmp_path / "prompts.txt").write_text("\n".join([*TEXTS, "they jump"]))
    with pytest.raises(
        UserError, match=r"f\.safetensors: no features of 'They jump\.' \(3 prompts are there\)"
    ):
        estimate(preset, session)


def test_a_caption_of_the_tables_that_the_file_lacks_is_named_before_tuning(
    preset: FinetunePreset, tmp_path: Path
) -> None:
    told = preset.model_copy(update={"evaluation": EvaluationPart(prompts=32, data="builtin")})
    with pytest.raises(UserError, match=r"no features of .* and \d+ more"):
        load_parts(told, torch.device("cpu"))


def test_a_file_that_is_not_there_is_said_first(preset: FinetunePreset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.npy: no such file of text features"):
        identities(preset.model_copy(update={"text_features": str(tmp_path / "gone.npy")}))
