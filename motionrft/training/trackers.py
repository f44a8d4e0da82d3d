"""Other programs that show a run: TensorBoard, Weights & Biases, Trackio. `metrics.jsonl` is written whatever is asked.

Each is an extra of the installation and is imported when it is asked for. TensorBoard writes files and needs no account;
Weights & Biases and Trackio honour their own environment (`WANDB_MODE=offline`, `TRACKIO_DIR`).
"""

import importlib.util
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from motionrft.errors import UserError
from motionrft.training.fingerprints import text_hash

PROJECT = "motionrft"
_ID_LETTERS = 16


class Tracker(Protocol):
    """Where the numbers of a run go besides its folder."""

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Measurements after `step` updates."""

    def picture(self, step: int, name: str, path: Path) -> None:
        """A PNG file."""

    def close(self) -> None:
        """Everything is written."""


class TensorBoard:
    """Event files in `OUT/tensorboard`.

    Args:
        step: updates made before; what an earlier, interrupted run wrote beyond it is purged.
        anew: event files of an earlier run there are deleted.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int, anew: bool = False):
        writer: Any = import_module("torch.utils.tensorboard").SummaryWriter
        place = folder / "tensorboard"
        for old in place.glob("events.out.tfevents.*") if anew else ():
            old.unlink()
        self._writer = writer(str(place), purge_step=step + 1 if step else None)
        self._writer.add_text("preset", f"```\n{settings}\n```", step)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """A run of Weights & Biases, which a resumed run of the same folder continues."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int, anew: bool = False):
        self._module: Any = import_module("wandb")
        self._run = self._module.init(
            project=PROJECT,
            name=folder.name,
            id=text_hash(str(folder.resolve()))[:_ID_LETTERS],
            dir=str(folder),
            config=dict(settings),
            resume="allow",
        )
        self._run.define_metric("*", step_metric="update")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "update": step})

    def picture(self, step: int, name: str, path: Path) -> None:
        self._run.log({name: self._module.Image(str(path)), "update": step})

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """A run of Trackio, whose dashboard is local."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], step: int, anew: bool = False):
        self._module: Any = import_module("trackio")
        self._module.init(project=PROJECT, name=folder.name, config=dict(settings), resume="allow")

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self._module.log(dict(values), step=step)

    def picture(self, step: int, name: str, path: Path) -> None:
        self._module.log({name: self._module.Image(str(path))}, step=step)

    def close(self) -> None:
        self._module.finish()


TRACKERS: dict[str, tuple[str, Callable[[Path, Mapping[str, Any], int, bool], Tracker]]] = {
    "tensorboard": ("tensorboard", TensorBoard),
    "wandb": ("wandb", Wandb),
    "trackio": ("trackio", Trackio),
}
"""Name, which is also the extra's: the module it needs, and what opens it."""


def named_trackers(words: str) -> list[str]:
    """The trackers of `tensorboard,wandb`.

    Raises:
        UserError: one is unknown, or its package is not installed.
    """
    names = list(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"--log {name}: no such tracker; there are {', '.join(TRACKERS)}.")
        if importlib.util.find_spec(TRACKERS[name][0]) is None:
            raise UserError(f"--log {name}: not installed here: pip install 'motionrft[{name}]'.")
    return names
