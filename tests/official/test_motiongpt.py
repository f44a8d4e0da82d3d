"""MotionGPT's checkpoints and AToM's: read with adapters merged, written back, converted, refused."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from motionrft.errors import UserError
from motionrft.generators import TokenGenerator, read_generator
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.motiongpt import MotionGpt
from motionrft.loading import load_generator
from motionrft.official.generators import convert_checkpoint, recognise, save_official
from motionrft.official.motiongpt import FILE
from motionrft.official.pickles import read_checkpoint, write_checkpoint
from tests.generators.token_families import TEXT_VOCAB, tiny_tokens, with_words, word_tokenizer

TEXTS, TOKENS = ["a person walks", "run"], MotionTokens.of([[3, 1, 4], [1, 5]])


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """MotionGPT's file with statistics and tokenizer beside it."""
    save_official(tiny_tokens("motiongpt"), tmp_path / "theirs" / FILE)
    word_tokenizer().save(str(tmp_path / "theirs" / "tokenizer.json"))
    return tmp_path / "theirs" / FILE


def likelihood(generator: Any) -> torch.Tensor:
    assert isinstance(generator, TokenGenerator)
    with torch.no_grad():
        return generator.log_prob(generator.encode_text(TEXTS), TOKENS).sums


def test_there_and_back_and_into_a_folder_of_ours(theirs: Path, tmp_path: Path) -> None:
    expected = likelihood(tiny_tokens("motiongpt"))
    content = read_checkpoint(theirs)
    assert recognise(content) == "motiongpt"
    assert {"lm.language_model.encoder.embed_tokens.weight", "vae.quantizer.codebook"} <= set(
        content["state_dict"]
    )
    generator = load_generator(theirs)
    assert isinstance(generator, MotionGpt) and generator.config.text_vocab == TEXT_VOCAB
    torch.testing.assert_close(likelihood(generator), expected)
    convert_checkpoint(theirs, tmp_path / "ours")
    torch.testing.assert_close(likelihood(read_generator(tmp_path / "ours")), expected)


def test_the_head_stays_its_own_through_a_folder(theirs: Path) -> None:
    model: Any = load_generator(theirs).tuned
    assert model.lm_head.weight is not model.shared.weight
    assert model.encoder.embed_tokens.weight is model.shared.weight


def test_modules_that_are_no_part_of_it_are_named(theirs: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = read_checkpoint(theirs)["state_dict"]
    write_checkpoint(theirs, {"state_dict": state | {"metrics.TM2T.x": torch.zeros(1)}})
    with caplog.at_level(logging.WARNING):
        load_generator(theirs)
    assert "metrics" in caplog.text


def test_a_tuned_language_model_takes_the_vq_vae_beside_it(theirs: Path) -> None:
    state = read_checkpoint(theirs)["state_dict"]
    prefix, layer = "lm.language_model.", "decoder.block.0.layer.0.SelfAttention.q"
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    down, up = torch.randn(4, 16), torch.randn(16, 4)
    tuned = {f"base_model.model.{name}": value for name, value in own.items()}
    base = tuned.pop(f"base_model.model.{layer}.weight")
    tuned |= {
        f"base_model.model.{layer}.base_layer.weight": base,
        f"base_model.model.{layer}.lora_A.default.weight": down,
        f"base_model.model.{layer}.lora_B.default.weight": up,
    }
    path = theirs.parent / "general_finetuned.pt"
    write_checkpoint(path, tuned)
    found: Any = load_generator(path).tuned
    weight = found.decoder.block[0].layer[0].SelfAttention.q.weight
    torch.testing.assert_close(weight, base + 16 / 4 * up @ down)
    write_checkpoint(path, own)  # tuned without adapters: plain names
    torch.testing.assert_close(likelihood(load_generator(path)), likelihood(tiny_tokens("motiongpt")))
    theirs.unlink()
    with pytest.raises(UserError, match=rf"Put MotionGPT's {FILE} beside it"):
        load_generator(path)


def test_what_is_missing_or_wrong_loads_nothing(theirs: Path) -> None:
    state = read_checkpoint(theirs)["state_dict"]
    whole = dict(state)
    del state["lm.language_model.lm_head.weight"]
    write_checkpoint(theirs, {"state_dict": state})
    with pytest.raises(UserError, match="lm_head"):
        load_generator(theirs)
    write_checkpoint(theirs, {"state_dict": {k: v for k, v in whole.items() if not k.startswith("vae.")}})
    with pytest.raises(UserError, match="VQ-VAE is missing"):
        load_generator(theirs)


def test_another_tokenizer_is_refused(theirs: Path) -> None:
    (theirs.parent / "tokenizer.json").unlink()
    generator = load_generator(theirs, tokenizer=str(theirs.parent))
    assert isinstance(generator, MotionGpt)
    with pytest.raises(UserError, match=r"no tokenizer.json there"):
        likelihood(generator)
    wrong = word_tokenizer()
    wrong.add_tokens(["one-more"])
    with pytest.raises(UserError, match="41 words, the model was trained with 40"):
        generator.use_tokenizer(wrong)


def test_a_template_with_frames_is_told_the_length() -> None:
    from dataclasses import replace

    generator = tiny_tokens("motiongpt")
    assert isinstance(generator, MotionGpt)
    told = MotionGpt(
        replace(
            generator.config,
            template="Generate motion with <Frame_Placeholder> frames: <Caption_Placeholder>",
        )
    )
    with_words(told)
    ids, _ = told.read_prompts(told.encode_text(["run"]), torch.tensor([24]))
    plain, _ = generator.read_prompts(generator.encode_text(["run"]), torch.tensor([24]))
    assert ids.shape[1] > plain.shape[1]
