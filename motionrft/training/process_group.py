"""The group of processes in which a run's messages travel: numbers on devices by NCCL, words between hosts by gloo.

Words between hosts so never wait for a device nor take its memory, and fail at once where a process is gone, while NCCL
takes nothing but tensors on each process's own device and waits for whoever does not answer.
"""

import datetime
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

from motionrft.errors import UserError


def use(device: torch.device) -> None:
    """Make a CUDA device that was named by its number the current one: the one that is waited for and captured, and
    where memory is pinned and given back."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def place_of(device: torch.device, own: bool) -> tuple[str, str] | None:
    """Machine and CUDA device, however each process counts its own; None of what may be shared, as a processor is."""
    if device.type != "cuda" or not own:
        return None
    return socket.gethostname(), str(torch.cuda.get_device_properties(device).uuid)


def expect_a_device_each(places: Sequence[tuple[str, str] | None]) -> None:
    """Raise `UserError` where processes share a CUDA device, which NCCL refuses in mid-run; by rank, as `place_of`."""
    known = [place for place in places if place is not None]
    if len(set(known)) < len(known):
        raise UserError(
            f"{len(known)} processes on {len(set(known))} CUDA device{'s' * (len(set(known)) != 1)}: each needs one of "
            "its own. Start no more than there are (--nproc-per-node), or name --device cpu."
        )


def meet(device: torch.device, limit: datetime.timedelta) -> Any:
    """Open the group.

    Args:
        device: what the user asked for. limit: how long a message may take.

    Returns:
        accelerate's `PartialState`, which knows this process's rank and its own device, the current one from now on.
    """
    from accelerate import PartialState

    if device.type == "cpu":
        return PartialState(cpu=True, timeout=limit)
    by_device = "nccl" if torch.distributed.is_nccl_available() else "gloo"  # Windows has no NCCL
    return PartialState(timeout=limit, backend=f"cpu:gloo,cuda:{by_device}")


def leave(device: torch.device | None, in_order: bool) -> None:
    """End the group.

    Args:
        device: this process's own.
        in_order: False where others may be gone: NCCL would wait in good order for what they have not answered.
    """
    from accelerate import PartialState

    if in_order:
        torch.distributed.destroy_process_group()
    else:
        with suppress(
            RuntimeError
        ):  # what ended the run is told by whoever met it; here a peer is gone as expected
            if device is not None and device.type == "cuda":
                backend = torch.distributed.distributed_c10d._get_default_group()._get_backend(device)
                getattr(backend, "abort", lambda: None)()
            torch.distributed.destroy_process_group()
    PartialState._reset_state()  # it is shared by all that ask for one, and the next run joins anew
