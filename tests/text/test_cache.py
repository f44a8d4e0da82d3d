"""The cache: each distinct text is encoded once, and a result never depends on whether it was warm."""

import errno
import os
from collections.abc import Sequence

import pytest
import torch
from safetensors.torch import save_file

from motionrft.text import cache, shard
from motionrft.text.base import TextEncoder, TextFeatures, stack
from motionrft.text.cache import CachedTextEncoder
from motionrft.training import atomic


class CountingEncoder(TextEncoder):
    """One token a word, its value the word's length; counts the texts it was asked for."""

    name, identity, width, pooled_width = "counting", "counting-1", 2, 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        self.asked += texts
        counts = [len(text.split()) + 1 for text in texts]
        tokens = torch.zeros(len(texts), max(counts), 2)
        for row, text in enumerate(texts):
            for column, word in enumerate(["<s>", *text.split()]):
                tokens[row, column] = len(word) + 1 / 3
        mask = torch.arange(max(counts))[None] < torch.tensor(counts)[:, None]
        return TextFeatures(tokens, mask, tokens.sum((1, 2))[:, None])


def test_each_distinct_text_is_encoded_once():
    behind = CountingEncoder()
    encoder = CachedTextEncoder(behind)
    encoder.encode(["walk", "run fast", "walk"])
    encoder.encode(["run fast"])
    assert sorted(behind.asked) == ["run fast", "walk"]


def test_features_keep_the_callers_order_and_padding_is_masked():
    features = CachedTextEncoder(CountingEncoder()).encode(["a longer text", "b"])
    assert features.mask.sum(1).tolist() == [4, 2]
    assert features.tokens[1, 2:].abs().sum() == 0


def test_a_warm_cache_gives_the_same_bits_as_a_cold_one(tmp_path):
    texts = ["walk", "", "run very fast"]
    cold = CachedTextEncoder(CountingEncoder(), tmp_path).encode(texts)
    behind = CountingEncoder()
    warm = CachedTextEncoder(behind, tmp_path).encode(texts)
    assert behind.asked == []
    assert torch.equal(cold.tokens, warm.tokens)
    assert torch.equal(cold.pooled, warm.pooled)


def test_features_do_not_depend_on_the_callers_precision():
    plain = CachedTextEncoder(CountingEncoder()).encode(["walk", "run"])
    with torch.autocast("cpu", torch.bfloat16):
        reduced = CachedTextEncoder(CountingEncoder()).encode(["walk", "run"])
    assert torch.equal(plain.tokens, reduced.tokens)
    assert torch.equal(plain.pooled, reduced.pooled)


def test_another_encoder_does_not_read_this_ones_features(tmp_path):
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk"])
    other = CountingEncoder()
    other.identity = "counting-2"
    CachedTextEncoder(other, tmp_path).encode(["walk"])
    assert other.asked == ["walk"]


def test_a_damaged_shard_is_said_and_encoded_again(tmp_path, caplog):
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk"])
    (path,) = (tmp_path / "text" / "counting-1").glob("*.safetensors")
    path.write_bytes(b"not a shard")
    behind = CountingEncoder()
    CachedTextEncoder(behind, tmp_path).encode(["walk"])
    assert behind.asked == ["walk"]
    assert "damaged text cache" in caplog.text


@pytest.mark.parametrize("place", range(0, 100, 3))
def test_no_changed_byte_of_a_shard_changes_a_feature(tmp_path, place):
    texts = ["walk", "run very fast", "turn"]
    cold = CachedTextEncoder(CountingEncoder(), tmp_path).encode(texts)
    (path,) = (tmp_path / "text" / "counting-1").glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[place * len(data) // 100] ^= 0x10
    path.write_bytes(data)
    again = CachedTextEncoder(CountingEncoder(), tmp_path).encode(texts)
    assert torch.equal(cold.tokens, again.tokens) and torch.equal(cold.pooled, again.pooled)


@pytest.mark.parametrize(
    "tensors", [{"tokens": (3, 7)}, {"tokens": (3, 2), "pooled": (5,)}, {"tokens": ()}, {"pooled": (1,)}]
)
def test_a_shard_of_other_shapes_is_no_shard(tmp_path, tensors):
    key = cache.text_key("walk")
    folder = tmp_path / "text" / "counting-1"
    folder.mkdir(parents=True)
    wrong = {f"{key}.{name}": torch.ones(shape, dtype=shard.STORED) for name, shape in tensors.items()}
    for name, sums in (("a", None), ("b", {key: "0" * 64})):
        save_file(wrong, folder / f"{name}.safetensors", sums)
    behind = CountingEncoder()
    encoder = CachedTextEncoder(behind, tmp_path)
    assert encoder.encode(["walk"]).tokens.shape == (1, 2, 2) and behind.asked == ["walk"]


def test_a_damaged_shard_is_told_once(tmp_path, caplog):
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk", "run"])
    (path,) = (tmp_path / "text" / "counting-1").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk"])
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["run"])
    caplog.clear()
    CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk", "run"])
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_cache_is_a_warning(tmp_path, caplog, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic, "_sync", fail)
    assert len(CachedTextEncoder(CountingEncoder(), tmp_path).encode(["walk"])) == 1
    assert "not cached on disk" in caplog.text


@pytest.mark.parametrize("fixed", [None, 6])
def test_a_text_that_is_cut_off_is_told_of_once(tmp_path, caplog, fixed):
    behind = CountingEncoder()
    behind.max_tokens, behind.fixed_tokens = 6, fixed
    encoder = CachedTextEncoder(behind, tmp_path)
    encoder.encode(["a person walks", "long " * 10_000])
    assert len(caplog.records) == 1 and "10000 words" in caplog.text and "long long" in caplog.text
    encoder.encode(["long " * 10_000])
    assert len(caplog.records) == 1
    CachedTextEncoder(behind, tmp_path).encode(["long " * 10_000])
    assert len(caplog.records) == 2


def test_an_unwritable_folder_costs_the_disk_cache_only(tmp_path, caplog):
    blocker = tmp_path / "file"
    blocker.write_text("")
    features = CachedTextEncoder(CountingEncoder(), blocker).encode(["walk"])
    assert len(features) == 1
    assert "not cached on disk" in caplog.text


@pytest.mark.parametrize("pooled", [True, False])
def test_stack_pads_to_the_longest_and_keeps_pooled_only_where_all_have_it(pooled):
    a = TextFeatures(torch.ones(1, 2, 3), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 4))
    b = TextFeatures(
        torch.ones(2, 5, 3), torch.ones(2, 5, dtype=torch.bool), torch.ones(2, 4) if pooled else None
    )
    joined = stack([a, b])
    assert joined.tokens.shape == (3, 5, 3)
    assert joined.mask[0].tolist() == [True, True, False, False, False]
    assert (joined.pooled is not None) == pooled


def test_memory_holds_a_few_features_and_the_disk_all(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "HELD", 200)
    monkeypatch.setattr(cache, "SHARD", 4)
    texts = [f"walk {number} times" for number in range(10)]
    behind = CountingEncoder()
    encoder = CachedTextEncoder(behind, tmp_path)
    encoder.remember(texts)
    assert len(list((tmp_path / "text" / "counting-1").glob("*.safetensors"))) == 3
    assert len(encoder._recent) == 0
    whole = encoder.encode(texts)
    assert sorted(behind.asked) == sorted(texts)
    assert encoder._recent.held <= 200
    assert torch.equal(whole.tokens, CachedTextEncoder(CountingEncoder()).encode(texts).tokens)


def test_a_shards_header_is_read_when_it_is_met_and_when_it_is_first_needed_never_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, "HELD", 0)
    monkeypatch.setattr(cache, "SHARD", 4)
    texts = [f"walk {number} times" for number in range(10)]
    CachedTextEncoder(CountingEncoder(), tmp_path).remember(texts)
    read, header = [], shard._header
    monkeypatch.setattr(shard, "_header", lambda path: read.append(path) or header(path))
    encoder = CachedTextEncoder(CountingEncoder(), tmp_path)
    whole = encoder.encode(texts)
    for place, text in enumerate(texts):
        alone = encoder.encode([text])
        assert torch.equal(alone.tokens[0], whole.tokens[place]), text
        assert torch.equal(alone.pooled[0], whole.pooled[place]), text
    assert len(set(read)) == 3 and len(read) == 6


@pytest.mark.parametrize("harm", ["shorter", "gone"])
def test_a_shard_that_is_harmed_after_it_was_met_is_encoded_again(tmp_path, monkeypatch, caplog, harm):
    monkeypatch.setattr(cache, "HELD", 0)
    texts = ["walk", "run very fast"]
    behind = CountingEncoder()
    encoder = CachedTextEncoder(behind, tmp_path)
    whole = encoder.encode(texts)
    (path,) = (tmp_path / "text" / "counting-1").glob("*.safetensors")
    path.unlink() if harm == "gone" else os.truncate(path, path.stat().st_size - 3)
    again = encoder.encode(texts)
    assert torch.equal(whole.tokens, again.tokens) and torch.equal(whole.pooled, again.pooled)
    assert "damaged text cache" in caplog.text
    assert torch.equal(encoder.encode(texts).tokens, whole.tokens)


def test_without_a_disk_nothing_is_forgotten(monkeypatch):
    monkeypatch.setattr(cache, "HELD", 1)
    behind = CountingEncoder()
    encoder = CachedTextEncoder(behind)
    for _ in range(2):
        encoder.encode(["walk", "run"])
    assert sorted(behind.asked) == ["run", "walk"]


def test_another_build_of_the_encoder_is_told_once_however_often_a_model_is_loaded(tmp_path, caplog):
    origin = str(tmp_path / "reward")
    for _ in range(2):
        encoder = CachedTextEncoder(CountingEncoder())
        encoder.learnt_with = ("counting-0", origin)
        encoder.encode(["walk"])
    assert len(caplog.records) == 1
    assert all(word in caplog.text for word in (origin, "counting-0", "counting-1"))


def test_nothing_is_said_of_the_same_build_or_before_a_text_is_read(tmp_path, caplog):
    same, other = (CachedTextEncoder(CountingEncoder()) for _ in range(2))
    same.learnt_with, other.learnt_with = (same.identity, str(tmp_path)), ("counting-0", str(tmp_path))
    same.encode(["walk"])
    other.check(["walk"])
    assert not caplog.records
