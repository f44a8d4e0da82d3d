"""Ready text features from a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from motionrft.errors import UserError
from motionrft.registry import TEXT_ENCODERS
from motionrft.text.choice import chosen_encoder
from motionrft.text.cost import text_cost
from motionrft.text.ready import ReadyFeatures
from tests.text.vectors import OneVector, vector

TEXTS = ["a person walks", "Waves."]


@pytest.fixture(params=["safetensors", "npy"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"features.{request.param}"
    if request.param == "npy":
        np.save(path, np.stack([vector(text).numpy() for text in TEXTS]).astype(np.float16))
        path.with_suffix(".txt").write_text("\n".join(TEXTS) + "\n")
    else:
        save_file(
            {text: vector(text)[None] for text in TEXTS}, path
        )  # (1, D), as Kimodo's service gives them
    return path


def test_prompts_are_found_however_they_are_written(file: Path) -> None:
    ready = ReadyFeatures(file, OneVector())
    found = ready.encode(["A Person walks.", "waves", ""])
    assert found.tokens.shape == (3, 1, 8) and found.mask.all() and found.pooled is None
    torch.testing.assert_close(found.tokens[:2, 0], torch.stack([vector(text) for text in TEXTS]))
    assert not found.tokens[2].any()
    assert text_cost(ready, TEXTS) == "all 2 texts are encoded"


def test_missing_prompts_are_named_and_counted(file: Path) -> None:
    ready = ReadyFeatures(file, OneVector())
    with pytest.raises(UserError, match=r"no features of 'Jumps\.' \(2 prompts are there\)"):
        ready.check(["waves", "jumps"])
    with pytest.raises(UserError, match=r"'A\.', 'B\.', 'C\.' and 2 more"):
        ready.encode(["a", "b", "c", "d", "e"])


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.zeros(9), r"'a' has not 8 finite numbers but a tensor \(9,\)"),
        (torch.full((8,), torch.nan), "finite"),
        (torch.zeros(8, dtype=torch.int64), "int64"),
    ],
)
def test_vectors_that_are_none_are_refused(tmp_path: Path, tensor: torch.Tensor, said: str) -> None:
    save_file({"a": tensor}, tmp_path / "f.safetensors")
    with pytest.raises(UserError, match=said):
        ReadyFeatures(tmp_path / "f.safetensors", OneVector())


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.(npy|txt)"):
        ReadyFeatures(tmp_path / "gone.npy", OneVector())
    (tmp_path / "f.pt").write_bytes(b"x")
    with pytest.raises(UserError, match=r"lie in a \.safetensors, or in a \.npy"):
        ReadyFeatures(tmp_path / "f.pt", OneVector())
    np.save(tmp_path / "f.npy", np.zeros((2, 8), np.float32))
    (tmp_path / "f.txt").write_text("one\n")
    with pytest.raises(UserError, match=r"\(2, 8\).*has 1 prompts"):
        ReadyFeatures(tmp_path / "f.npy", OneVector())
    np.save(tmp_path / "f.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"f\.npy"):
        ReadyFeatures(tmp_path / "f.npy", OneVector())


def test_another_file_is_another_identity(tmp_path: Path) -> None:
    found = []
    for number in (1.0, 2.0):
        save_file({"a": torch.full((8,), number)}, tmp_path / "f.safetensors")
        found.append(ReadyFeatures(tmp_path / "f.safetensors", OneVector()).identity)
    assert found[0] != found[1]


def test_what_is_chosen_must_suit_the_generator(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setitem(TEXT_ENCODERS.added, "one", (lambda path, device: OneVector(), "a test"))
    assert chosen_encoder("one") is None
    assert isinstance(chosen_encoder("one", str(file)), ReadyFeatures)
    with pytest.raises(UserError, match="reads minilm, which is no single vector"):
        chosen_encoder("minilm", str(file))
    with pytest.raises(UserError, match="leave one of them out"):
        chosen_encoder("one", str(file), "http://localhost:9550")
    with pytest.raises(UserError, match="is no address"):
        chosen_encoder("one", service="localhost:9550")
