"""LLM2Vec layer by layer against the plain forward of transformers and peft, on a tiny model of the same architecture."""

import json
from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.text.cache import CachedTextEncoder
from motionrft.text.llm2vec import Llm2Vec, llm2vec_fp32
from motionrft.text.loading import load_text_encoder
from tests.text.tiny_llm2vec import NAMES, plain_vector, write_llm2vec

WIDTH = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llm2vec(tmp_path_factory.mktemp("llm2vec"))


@pytest.fixture
def mutable(folder: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    for path in folder.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path


def encoder(folder: Path | None, dtype: torch.dtype = torch.float32) -> Llm2Vec:
    return Llm2Vec("llm2vec", folder, dtype=dtype, width=WIDTH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layer_by_layer_equals_the_plain_forward(folder: Path, dtype: torch.dtype) -> None:
    texts = ["A person walks. Then sits.", "Waves."]
    found = encoder(folder, dtype).encode(texts)
    assert found.tokens.shape == (2, 1, WIDTH) and found.mask.all() and found.pooled is None
    for vector, text in zip(found.tokens[:, 0], texts, strict=True):
        torch.testing.assert_close(vector, plain_vector(folder, text, dtype), atol=1e-6, rtol=0)


def test_a_text_does_not_depend_on_its_neighbours_to_the_last_bit(folder: Path) -> None:
    reader = encoder(folder, torch.bfloat16)
    both = reader.encode(["a person walks fast", "waves"]).tokens
    assert torch.equal(both[1:], reader.encode(["waves"]).tokens)


def test_an_empty_prompt_is_zeros_and_reads_no_weights() -> None:
    reader = encoder(None)
    reader.check(["", " - "])
    assert not reader.encode(["", " - "]).tokens.any()


def test_a_prompt_is_cleaned_before_it_is_encoded_and_cached(folder: Path, tmp_path: Path) -> None:
    cached = CachedTextEncoder(encoder(folder), tmp_path)
    first = cached.encode(["a person WALKS  "])
    assert cached.unknown(["A person walks.", "a person walks", "Waves"]) == ["Waves."]
    cached.encoder = encoder(None)  # which could read nothing
    torch.testing.assert_close(cached.encode(["A person walks."]).tokens, first.tokens)
    shard = next(tmp_path.rglob("*.safetensors"))
    assert shard.stat().st_size < 2 * WIDTH + 400, "half precision, and no vector twice"


def test_a_prompt_of_more_than_400_tokens_loses_words_at_its_end(folder: Path) -> None:
    reader = encoder(folder)
    long, cut, short = (reader.encode(["A" + " walks" * count]).tokens for count in (600, 398, 390))
    # 602 tokens with the period: int(601 words x 400 / 602) words stay, and the period is gone.
    assert not torch.equal(long, cut) and not torch.equal(long, short)
    torch.testing.assert_close(long, reader.encode(["A" + " walks" * 700]).tokens)


def test_the_files_precision_and_content_are_the_identity(folder: Path, mutable: Path) -> None:
    assert encoder(folder).identity == encoder(mutable).identity
    assert encoder(folder).identity != encoder(folder, torch.bfloat16).identity
    config = mutable / NAMES[2] / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 9'))
    assert encoder(folder).identity != encoder(mutable).identity
    assert encoder(None).identity != encoder(folder).identity


def test_the_float32_encoder_shares_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llm2vec").symlink_to(folder)
    monkeypatch.setenv("MOTIONRFT_TEXT_ENCODERS", str(tmp_path))
    assert llm2vec_fp32(None, "cpu").path == tmp_path / "llm2vec"


def test_what_is_missing_is_named_with_the_ways_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as caught:
        load_text_encoder("llm2vec", cache=False).encode(["a"])
    said = str(caught.value)
    assert "\n" not in said and all(name in said for name in NAMES)
    assert "text_features" in said and "text_service" in said and "MOTIONRFT_TEXT_ENCODERS" in said


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "file", "said"),
    [
        ({"hidden_size": 64}, f"{NAMES[0]}/config.json", "states of 64"),
        ({"attention_bias": True}, f"{NAMES[0]}/config.json", "biases"),
        ({"rope_parameters": {"rope_type": "llama3"}}, f"{NAMES[0]}/config.json", "rotary scaling"),
        ({"num_hidden_layers": 4}, f"{NAMES[0]}/config.json", r"layers\.3.*another model"),
        ({"use_dora": True}, f"{NAMES[1]}/adapter_config.json", "use_dora"),
        ({"peft_type": "LOHA"}, f"{NAMES[2]}/adapter_config.json", "LOHA"),
    ],
)  # fmt: skip
def test_another_model_is_refused_by_file(mutable: Path, changes: dict, file: str, said: str) -> None:
    _edit(mutable / file, **changes)
    with pytest.raises(UserError, match=said):
        encoder(mutable).encode(["a"])


@pytest.mark.parametrize("file", [f"{NAMES[0]}/tokenizer.json", f"{NAMES[1]}/adapter_model.safetensors"])
def test_a_damaged_file_is_named(mutable: Path, file: str) -> None:
    (mutable / file).write_bytes((mutable / file).read_bytes()[:-40])
    with pytest.raises(UserError, match=Path(file).name):
        encoder(mutable).encode(["a"])


def test_a_missing_shard_is_named(mutable: Path) -> None:
    sorted((mutable / NAMES[0]).glob("*.safetensors"))[0].unlink()
    with pytest.raises(UserError, match=r"model-00001.*missing"):
        encoder(mutable).encode(["a"])


def test_memory_stays_far_below_all_layers(tmp_path: Path) -> None:
    """What the process held at its peak beyond what it held before, as the kernel counts it.

    Layers of 8 MB, so that what an allocator keeps back (some MB, other on every machine) does not decide; were all
    twelve read at once, it would be four times what is allowed.
    """
    layers = 12
    root = write_llm2vec(tmp_path, hidden_size=512, intermediate_size=2048, num_hidden_layers=layers)
    reader = Llm2Vec("llm2vec", root, width=512)
    reader.encode(["a"])  # imports, thread pools
    weights = sum(file.stat().st_size for file in (root / NAMES[0]).glob("*.safetensors"))
    before = _reset_peak()
    reader.encode(["a person walks"])
    grown = _peak() - before
    assert grown < 3 * weights / layers, f"{grown} bytes; a layer has {weights / layers:.0f}"


def _reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
