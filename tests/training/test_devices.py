"""Fault 28: a device that is not there is refused with the ones that are; auto falls back and says so."""

import pytest
import torch

from motionrft.errors import UserError
from motionrft.training.devices import (
    available_devices,
    name_of_precision,
    resolve_device,
    resolve_precision,
)


def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_auto_falls_back_to_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    no_gpu(monkeypatch)
    said: list[str] = []
    assert resolve_device("auto", said.append) == torch.device("cpu")
    assert said == ["device: cpu (no GPU found)"]


@pytest.mark.parametrize("name", ["cuda", "cuda:9", "mps"])
def test_a_missing_device_is_refused_with_the_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_gpu(monkeypatch)
    with pytest.raises(UserError, match=f"--device {name}: not on this machine. There are: auto, cpu$"):
        resolve_device(name, print)


def test_the_devices_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    no_gpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert available_devices() == ["cpu", "cuda:0", "cuda:1"]
    assert resolve_device("cuda:1", print) == torch.device("cuda:1")


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) is torch.float32
    assert resolve_precision("bf16", cpu) is torch.bfloat16
    assert resolve_precision("fp16", torch.device("cuda")) is torch.float16
    for name in ("fp16", "tf32"):
        with pytest.raises(UserError, match=f"--precision {name}"):
            resolve_precision(name, cpu)


def test_tf32_is_float32_with_rounded_products_until_another_precision_is_asked_for() -> None:
    cuda = torch.device("cuda")
    try:
        assert resolve_precision("tf32", cuda) is torch.float32
        assert torch.get_float32_matmul_precision() == "high"
        assert name_of_precision(torch.float32) == "tf32"
        assert name_of_precision(torch.bfloat16) == "bfloat16"
        assert resolve_precision("auto", torch.device("cpu")) is torch.float32
    finally:
        found = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
    assert found == "highest"
    assert name_of_precision(torch.float32) == "float32"
