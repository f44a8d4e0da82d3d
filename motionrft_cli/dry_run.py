"""--dry-run of the commands that train: everything is built and checked, three updates are made, nothing stays."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from motionrft.settings.base import Preset
from motionrft_cli.memory import MIB
from motionrft_cli.options import Call

if TYPE_CHECKING:
    from motionrft.training.dry_run import Cost, DryRun


def measure_cost(call: Call[Any], start: Callable[[Path, "Callable[[str], DryRun]"], object]) -> int:
    """Answer --dry-run: the table of what the training would cost.

    Args:
        call: the invocation; its --out is checked and left alone.
        start: begins the training in the folder it is given, with the progress it is given for each loop.

    Raises:
        UserError: what the training itself would refuse.
    """
    from motionrft.training.dry_run import DryRun, DryRunDone

    if call.out is not None:
        call.output_folder()
    with TemporaryDirectory(prefix="motionrft-") as folder:
        try:
            start(Path(folder) / "run", DryRun)
        except DryRunDone as rehearsed:
            report(call, rehearsed.cost)
    return 0


def report(call: Call[Preset], cost: "Cost") -> None:
    """Show the estimate to people, and to scripts under --json."""
    whole = None if cost.updates is None else cost.updates * cost.seconds_per_update
    rows: list[tuple[str, object]] = [
        ("trained parameters", f"{cost.parameters:,}"),
        ("time per update", f"{cost.seconds_per_update:.3g} s"),
        ("updates", "until the time limit" if cost.updates is None else cost.updates),
        ("time for all updates", "-" if whole is None else duration(whole)),
        ("memory at its peak", f"{cost.peak_bytes / MIB:.0f} MiB"),
        ("disk for a checkpoint", f"{cost.checkpoint_bytes / MIB:.1f} MiB"),
    ]
    call.console.table(f"dry run: {cost.loop}", ["what", "estimate"], rows)
    call.console.emit({"dry_run": True, **vars(cost), "seconds": whole})


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
