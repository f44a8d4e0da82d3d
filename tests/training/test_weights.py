"""Models on disk: damage is noticed and said (fault 13), another architecture is refused whole (fault 14)."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from motionrft.errors import RunError, UserError
from motionrft.training.weights import (
    MANIFEST,
    TENSORS,
    check_safetensors,
    load_state,
    load_weights,
    read_safetensors,
    save_weights,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save_weights(folder, nn.Linear(4, 3).state_dict(), {"family": "toy"}, card="# Toy")
    return folder


def test_round_trip_keeps_tensors_config_and_card(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    tensors = {"a": shared, "tied": shared, "row": shared[1], "turned": shared.T, "half": shared.half()}
    save_weights(tmp_path / "m", tensors, {"width": 4, "name": "ü"}, card="# Card")
    loaded, config = load_weights(tmp_path / "m")
    assert config == {"width": 4, "name": "ü"}
    assert (tmp_path / "m" / "README.md").read_text() == "# Card"
    assert all(
        torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype
        for name, tensor in tensors.items()
    )


def test_saving_again_replaces_a_model_but_never_another_folder(model: Path, tmp_path: Path) -> None:
    save_weights(model, {"x": torch.ones(1)}, {})
    assert list(load_weights(model)[0]) == ["x"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="holds no model"):
        save_weights(tmp_path / "photos", {"x": torch.ones(1)}, {})
    assert (tmp_path / "photos" / "one.jpg").exists()


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def _trailing(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"junk")


def _huge_header(file: Path) -> None:
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])


def _broken_header(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[8:12] = b"\xff\xff\xff\xff"
    file.write_bytes(data)


def _flipped_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)


def _web_page(file: Path) -> None:
    file.write_text("<!DOCTYPE html><html>" + "x" * 500)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_truncated, "ends at byte"),
        (_trailing, "should end at byte"),
        (_huge_header, "at byte 0 a header of 4,611,686,018,427,387,904 bytes"),
        (_broken_header, "bytes 8 to"),
        (_flipped_bit, "SHA-256"),
        (_web_page, "a web page"),
        (Path.unlink, "no such file"),
    ],
)
def test_damage_is_said(model: Path, damage, says: str) -> None:
    damage(model / TENSORS)
    with pytest.raises(UserError) as caught:
        load_weights(model)
    assert says in str(caught.value) and str(model / TENSORS) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "nonsense"])
def test_damaged_json_is_said(model: Path, text: str) -> None:
    (model / MANIFEST).write_text(text)
    with pytest.raises(
        UserError, match=r"manifest\.json: (the file is empty|line 1: no valid JSON|holds a list)"
    ):
        load_weights(model)


def test_every_header_length_is_refused_or_read(model: Path) -> None:
    """No first eight bytes crash the reader."""
    data = (model / TENSORS).read_bytes()
    for bit in range(64):
        length = int.from_bytes(data[:8], "little") ^ (1 << bit)
        (model / TENSORS).write_bytes(length.to_bytes(8, "little") + data[8:])
        with pytest.raises(UserError):
            check_safetensors(model / TENSORS)


def test_headers_that_lie_about_offsets_are_refused(tmp_path: Path) -> None:
    for header in (
        {"a": {"data_offsets": ["x", "y"]}},
        {"a": {}},
        {"a": 3},
        [1],
        {"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}},
    ):
        text = json.dumps(header).encode()
        (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 4)
        with pytest.raises(UserError, match="damaged"):
            read_safetensors(tmp_path / "x.safetensors")


def test_manifest_never_leads_outside(model: Path) -> None:
    manifest = json.loads((model / MANIFEST).read_text())
    manifest["files"]["../../etc/passwd"] = {"bytes": 1, "sha256": "0"}
    (model / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="outside the folder"):
        load_weights(model)


def test_another_architecture_lists_five_and_loads_nothing() -> None:
    wanted, other = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4))), nn.Sequential(nn.Linear(3, 2))
    before = [p.clone() for p in wanted.parameters()]
    with pytest.raises(UserError) as caught:
        load_state(wanted, other.state_dict(), "runs/x")
    message = str(caught.value)
    assert message.startswith("runs/x") and "1.weight is missing" in message and "and 2 more" in message
    assert all(torch.equal(a, b) for a, b in zip(before, wanted.parameters(), strict=True))


@pytest.mark.parametrize(
    "entries",
    [{}, {"config.json": {"sha256": "0"}}, {"config.json": {"bytes": [], "sha256": "0"}}, {"config.json": 3}],
)
def test_a_manifest_that_vouches_for_nothing_is_none(model: Path, entries: dict) -> None:
    (model / MANIFEST).write_text(json.dumps({"files": entries}))
    with pytest.raises(UserError, match=r"manifest\.json: damaged"):
        load_weights(model)


def test_what_is_not_finite_is_not_saved(tmp_path: Path) -> None:
    weights = {
        "fine": torch.ones(3),
        "first": torch.tensor([1.0, float("inf")]),
        "second": torch.full((2,), float("nan")),
    }
    with pytest.raises(RunError, match="first has 1 of 2 values that are not finite"):
        save_weights(tmp_path / "model", weights, {})
    assert list(tmp_path.iterdir()) == []


def test_notes_in_a_model_folder_survive_a_new_model(model: Path) -> None:
    (model / "notes").mkdir()
    (model / "notes" / "mine.txt").write_text("mine")
    save_weights(model, {"w": torch.zeros(2)}, {"v": 2})
    assert (model / "notes" / "mine.txt").read_text() == "mine"
    assert load_weights(model)[1] == {"v": 2}
    (model / MANIFEST).write_text('{"name": "my web page"}')
    with pytest.raises(UserError, match="holds no model"):
        save_weights(model, {"w": torch.zeros(2)}, {})
