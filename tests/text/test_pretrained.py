"""Published text encoders on tiny random weights: what is pooled, padded, cut, and found."""

from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.registry import TEXT_ENCODERS
from motionrft.text.loading import load_text_encoder
from motionrft.text.pretrained import CLIP_B32, Clip, DistilBert, SentenceT5

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

WORDS = ["<pad>", *"abcdefghijklmnopqrstuvwxyz", "<start>", "<end>"]
TEXTS = ["a b c", "d e f g h i"]


def write_tokenizer(folder: Path) -> None:
    """One id a letter; `<start>` and `<end>` around, the latter with the largest id, as CLIP has it."""
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="a")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ends = [("<start>", WORDS.index("<start>")), ("<end>", WORDS.index("<end>"))]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        "<start> $A <end>", special_tokens=ends
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def write_tiny_clip(folder: Path, width: int = 16, projected: int = 8) -> None:
    """A text tower of CLIP with random weights."""
    config = transformers.CLIPTextConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=projected,
        eos_token_id=len(WORDS) - 1,
        bos_token_id=len(WORDS) - 2,
        pad_token_id=0,
    )
    transformers.CLIPTextModelWithProjection(config).save_pretrained(folder)
    write_tokenizer(folder)


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    write_tiny_clip(tmp_path)
    return tmp_path


def test_clip_pools_the_end_of_text_state_through_the_projection(clip_folder: Path) -> None:
    encoder = Clip("clip", CLIP_B32, clip_folder, width=16, projected_width=8)
    features = encoder.encode(TEXTS)
    assert features.mask.sum(1).tolist() == [5, 8]
    model = transformers.CLIPTextModelWithProjection.from_pretrained(clip_folder)
    ids = torch.tensor([[27, 1, 2, 3, 28]])
    torch.testing.assert_close(features.pooled[:1], model(input_ids=ids).text_embeds, atol=1e-5, rtol=0)


def test_clip_states_are_all_positions_and_a_text_does_not_depend_on_its_neighbours(
    clip_folder: Path,
) -> None:
    encoder = Clip("clip", CLIP_B32, clip_folder, part="states", width=16)
    both, alone = encoder.encode(TEXTS), encoder.encode(TEXTS[:1])
    assert both.tokens.shape == (2, 77, 16) and both.mask.all()
    torch.testing.assert_close(both.tokens[:1], alone.tokens, atol=1e-5, rtol=0)
    torch.testing.assert_close(both.tokens[0, 4], both.pooled[0])
    torch.testing.assert_close(both.tokens[1, 7], both.pooled[1])


def test_a_cut_text_keeps_its_end(clip_folder: Path) -> None:
    encoder = Clip("clip", CLIP_B32, clip_folder, max_tokens=5, width=16, projected_width=8)
    cut, short = encoder.encode(["a b c d e f g"]), encoder.encode(["a b c"])
    torch.testing.assert_close(cut.pooled, short.pooled)


def test_sentence_t5_is_a_masked_mean_through_a_linear_layer_at_unit_length(tmp_path: Path) -> None:
    config = transformers.T5Config(
        vocab_size=len(WORDS), d_model=16, d_ff=16, d_kv=8, num_layers=2, num_heads=2
    )
    transformers.T5EncoderModel(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    (tmp_path / "2_Dense").mkdir()
    dense = torch.randn(6, 16)
    torch.save({"linear.weight": dense}, tmp_path / "2_Dense" / "pytorch_model.bin")
    encoder = SentenceT5(tmp_path)
    both, alone = encoder.encode(TEXTS), encoder.encode(TEXTS[:1])
    torch.testing.assert_close(both.pooled[:1], alone.pooled, atol=1e-5, rtol=0)
    torch.testing.assert_close(both.pooled.norm(dim=1), torch.ones(2))
    expected = torch.nn.functional.normalize(alone.tokens.mean(1) @ dense.T, dim=-1)
    torch.testing.assert_close(alone.pooled, expected, atol=1e-5, rtol=0)


def test_distilbert_gives_states_and_no_pooled_vector(tmp_path: Path) -> None:
    config = transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=16, hidden_dim=16, n_layers=1, n_heads=2
    )
    transformers.DistilBertModel(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    features = DistilBert(tmp_path).encode(TEXTS)
    assert features.pooled is None and features.tokens.shape == (2, 8, 16)
    assert (features.tokens[0, 5:] == 0).all()


def test_a_folder_without_weights_is_refused(clip_folder: Path) -> None:
    (clip_folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights of the text encoder clip"):
        Clip("clip", CLIP_B32, clip_folder).encode(TEXTS)


def test_another_folder_is_another_encoder_to_the_cache(clip_folder: Path) -> None:
    assert Clip("clip", CLIP_B32, clip_folder).identity != Clip("clip", CLIP_B32).identity


@pytest.mark.parametrize("name", [name for name in TEXT_ENCODERS.names() if name != "minilm"])
def test_a_missing_encoder_says_what_to_fetch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"ownload revision|system prompt is missing"):
        load_text_encoder(name, cache=False).encode(["a"])


def test_encoders_are_found_below_the_users_folder(
    clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "encoders"
    root.mkdir()
    (root / "clip-b32").symlink_to(clip_folder)
    monkeypatch.setenv("MOTIONRFT_TEXT_ENCODERS", str(root))
    assert load_text_encoder("clip-b32", cache=False).encode(["a b"]).tokens.shape == (1, 4, 16)
