"""From `--device` and `--precision` to torch's own words. Imports torch when called, not before."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from motionrft.errors import UserError

if TYPE_CHECKING:
    import torch


def available_devices() -> list[str]:
    """What `--device` can name on this machine."""
    import torch

    devices = ["cpu"] + [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def resolve_device(name: str, say: Callable[[str], None]) -> "torch.device":
    """The device to run on.

    Args:
        name: auto, cpu, cuda, cuda:N or mps.
        say: told which device `auto` chose. It never is mps: nothing here is tested there, so it is for those who ask.

    Raises:
        UserError: it is not there; names the devices that are.
    """
    import torch

    devices = available_devices()
    if name == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
        reason = (
            "" if chosen != "cpu" else " (mps has to be asked for)" if "mps" in devices else " (no GPU found)"
        )
        say(f"device: {chosen}{reason}")
        return _ready(torch.device(chosen))
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in devices:
        raise UserError(f"--device {name}: not on this machine. There are: {', '.join(['auto', *devices])}")
    return _ready(torch.device(name))


def _ready(device: "torch.device") -> "torch.device":
    """The device, set up for batches of many lengths.

    cuDNN's attention builds a plan for every new shape, which on an H100 in bfloat16 took ten times the call itself;
    the other fused kernels take any shape.
    """
    import torch

    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
    return device


def resolve_precision(name: str, device: "torch.device") -> "torch.dtype":
    """The number format of the heavy arithmetic; `tf32` is float32 whose matrix products round their factors.

    Raises:
        UserError: fp16 on the CPU, where it is slow and overflows; tf32 on anything but a CUDA device.
    """
    import torch

    # Set either way: what an earlier call in this process asked for is not what this one asks for.
    torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if name == "fp16" and device.type == "cpu":
        raise UserError("--precision fp16: a CPU computes it slowly and it overflows; use fp32 or bf16")
    if name == "tf32" and device.type != "cuda":
        raise UserError(
            f"--precision tf32: a format of CUDA devices, and the device is {device.type}; use fp32"
        )
    formats = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return formats[name]


def name_of_precision(dtype: "torch.dtype") -> str:
    """What results say of a format: `float32`, `tf32`, `bfloat16`, `float16`."""
    import torch

    rounded = dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest"
    return "tf32" if rounded else str(dtype).removeprefix("torch.")
