"""Every preset file that travels with the package is a test case: it names its purpose and resolves."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from motionrft.settings.commented import commented_yaml
from motionrft.settings.discovery import purpose_of, shipped_folder
from motionrft.settings.fields import models_of
from motionrft.settings.layers import resolve
from motionrft.settings.plain_yaml import read_yaml
from motionrft_cli.commands import COMMANDS, preset_model

FILES = sorted(shipped_folder().glob("*/*"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_shipped_preset_resolves_to_what_it_says(file: Path) -> None:
    assert file.parent.name in COMMANDS and file.suffix == ".yaml"
    assert purpose_of(file), "the first line says what it is for"
    heads = [
        line for line in file.read_text().splitlines() if line.startswith(f"# motionrft {file.parent.name} ")
    ]
    assert any(f"--preset {file.stem}" in line for line in heads), "the head says how to run it"
    model = preset_model(file.parent.name)
    preset = resolve(model, str(file), environment={})
    assert model.of(read_yaml(preset.to_yaml(), "written")) == preset
    assert model.of(read_yaml(commented_yaml(preset), "shown")) == preset


def silent_fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Fields without a description; a group speaks through its own fields."""
    silent = []
    for name, field in model.model_fields.items():
        below = list(models_of(field.annotation))
        silent += [each for part in below for each in silent_fields(part, f"{prefix}{name}.")]
        if not below and not field.description and name != "method":
            silent.append(prefix + name)
    return silent


@pytest.mark.parametrize("command", COMMANDS)
def test_every_field_explains_itself(command: str) -> None:
    """Descriptions feed the help texts and the completions, so none may be missing."""
    assert silent_fields(preset_model(command)) == []
