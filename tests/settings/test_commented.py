"""--show-preset teaches: a comment beside each value, and still a preset."""

import re
from typing import ClassVar

from pydantic import Field

from motionrft.settings.base import Preset
from motionrft.settings.commented import commented_yaml
from motionrft.settings.plain_yaml import read_yaml
from tests.settings.models import ToyPreset


class Texts(Preset):
    """Values that YAML writes in several lines."""

    command: ClassVar[str] = "texts"
    prompt: str = Field("a\nb", description="two lines")
    long: str = Field("word " * 60, description="what: # is long")
    names: list[str] = Field(["x", "y"], description="some names")
    none: list[str] = Field([], description="no names")


def test_each_value_has_its_description_beside_it() -> None:
    shown = commented_yaml(ToyPreset())
    assert "\nsteps: 50  # denoising steps (≥ 1)\n" in shown
    assert "\noptimiser:  # optimiser\n  lr: 0.0001  # learning rate (> 0)\n" in shown
    assert "\n  k: 1  # denoising steps that carry gradient (≥ 1)\n" in shown
    values = [line for line in shown.splitlines() if re.match(r" *\w+:", line)]
    assert [line for line in values if "  # " not in line] == ["  method: draft"]


def test_values_of_several_lines_are_read_back() -> None:
    shown = commented_yaml(Texts())
    assert Texts.of(read_yaml(shown, "shown")) == Texts()
    assert all(f"# {words}" in shown for words in ("two lines", "what: # is long", "some names", "no names"))
