"""The settings of whoever reads motion files: the same fields in convert, score and eval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from motionrft.errors import UserError
from motionrft.settings.base import Preset

if TYPE_CHECKING:
    from motionrft.files.reading import ReadingOptions

_MOVED = {"source_unit": "unit (auto, m, cm, mm, inch, cmu)"}
"""Keys of older presets, and what replaced them."""
_LONG_UNITS = ("metres", "centimetres", "millimetres", "inches", "CMU units")


class ReadingPreset(Preset):
    """What a command that reads motion files is told about them."""

    source: str | None = Field(
        None, description="representation of the inputs, where their shape does not tell"
    )
    up: Literal["auto", "y", "z", "x", "-y", "-z", "-x"] = Field(
        "auto", description="the axis that is up in the inputs; auto: the one along which the body stands"
    )
    unit: Literal["auto", "m", "cm", "mm", "inch", "cmu"] = Field(
        "auto", description="unit of the inputs; auto: the one that makes the body the size of a person"
    )
    source_fps: float | None = Field(
        None, ge=1, le=1000, description="frame rate of inputs that do not say it themselves"
    )
    joint_map: str | None = Field(
        None, description="YAML or JSON file: SMPL joint to a skeleton's joint, list of joints, or weights"
    )
    t_pose: Literal["auto", "keep", "drop"] = Field(
        "auto",
        description="a reference pose in front: auto drops one that the motion jumps out of, drop every T-pose",
    )
    start: float | None = Field(None, ge=0, description="seconds at which the inputs are begun")
    end: float | None = Field(None, gt=0, description="seconds at which the inputs are ended")
    split_long: float | None = Field(
        None, gt=0, description="seconds after which a motion is cut into another one"
    )
    cut: str | None = Field(
        None,
        description="CSV of file, start, end (seconds) and caption: the parts to read; or HumanML3D's index.csv",
    )

    @model_validator(mode="before")
    @classmethod
    def _told_what_moved(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key, now in _MOVED.items():
                if key in values:
                    raise ValueError(f"{key} is called {now} now")
            if values.get("unit") in _LONG_UNITS:
                raise ValueError(
                    f"unit {values['unit']}: the unit of files that are read is auto, m, cm, mm, inch or cmu; "
                    f"that of BVH files that are written is out_unit (--out-unit)"
                )
        return values

    @model_validator(mode="after")
    def _ends_after_start(self) -> ReadingPreset:
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError(f"end ({self.end:g} s) is not after start ({self.start or 0:g} s)")
        return self

    def reading_options(self, fps: float | None = None) -> ReadingOptions:
        """The options for a reader, with the files that they name read.

        Args:
            fps: the rate that is wanted; None keeps each file's own.

        Raises:
            UserError: the joint map or the table of cuts cannot be read, or an unknown representation.
        """
        from motionrft.files.cuts import read_cuts
        from motionrft.files.joint_maps import read_joint_map
        from motionrft.files.reading import ReadingOptions
        from motionrft.files.units import SHORT
        from motionrft.representations.names import representation_name

        if self.cut is not None and (self.start is not None or self.end is not None):
            raise UserError("--cut says where parts start and end: leave --start and --end away.")
        return ReadingOptions(
            representation=representation_name(self.source) if self.source else None,
            fps=fps,
            source_fps=self.source_fps,
            joint_map=read_joint_map(Path(self.joint_map)) if self.joint_map else None,
            unit=SHORT.get(self.unit),
            up=self.up,
            t_pose=self.t_pose,
            start=self.start,
            end=self.end,
            split_long=self.split_long,
            cuts=read_cuts(Path(self.cut)) if self.cut else {},
        )
