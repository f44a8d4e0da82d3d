"""What `motionrft merge` can be told: nothing of its own. What is merged says how it was made."""

from typing import ClassVar

from motionrft.settings.base import Preset


class MergePreset(Preset):
    """Settings of `motionrft merge`: the device that an evaluation's motions are judged on."""

    command: ClassVar[str] = "merge"
