"""What people have from the first release: preset files as its runs wrote them, and its command lines.

`former/` holds what `--show-preset` printed then, and every flag.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from motionrft.errors import UserError
from motionrft.settings.layers import resolve
from motionrft_cli.commands import preset_model
from motionrft_cli.completions import describe

FORMER = Path(__file__).parent / "former"
FLAGS = json.loads((FORMER / "flags.json").read_text())
RENAMED = {"method.normalise": "method.advantages", "watch.foot_skating": "watch.skating_ratio"}
MOVED = {"source_unit": "source_unit is called unit .* now", "unit": "unit centimetres: .* out_unit"}
"""Keys of `convert` whose names now mean other things: a preset with one is refused, and told so in one line."""


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@pytest.mark.parametrize("file", sorted(FORMER.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_preset_of_then_means_the_same_now(file: Path, tmp_path: Path) -> None:
    model, then = preset_model(file.stem.partition(".")[0]), yaml.safe_load(file.read_text())
    for key in MOVED.keys() & then.keys() if file.stem == "convert" else ():
        (tmp_path / "then.yaml").write_text(yaml.safe_dump({key: then.pop(key) or "cm"}))
        with pytest.raises(UserError, match=MOVED[key]) as refused:
            resolve(model, str(tmp_path / "then.yaml"), environment={})
        assert len(str(refused.value).splitlines()) == 1
    (tmp_path / "then.yaml").write_text(yaml.safe_dump(then))
    now = dict(leaves(resolve(model, str(tmp_path / "then.yaml"), environment={}).plain()))
    for path, value in leaves(then):
        found = now[path] if path in now else now[RENAMED[path]]
        assert found in (value, [value]) or (isinstance(value, float) and found == pytest.approx(value)), path


@pytest.mark.parametrize("command", FLAGS)
def test_every_flag_of_then_is_there_now(command: str) -> None:
    assert set(FLAGS[command]) <= {name for flag in describe(command).flags for name in flag.names}
