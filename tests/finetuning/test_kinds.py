"""A method and a generator of kinds that do not go together: one line that names what would."""

from pathlib import Path

import pytest

from motionrft.errors import UserError
from motionrft.finetuning.loading import load_tuned
from motionrft.finetuning.preset import FinetunePreset
from motionrft.generators import save_generator
from tests.generators.token_families import tiny_tokens


@pytest.mark.parametrize("method", ["easytune", "refl", "ddpo"])
def test_a_method_of_trajectories_is_refused_for_tokens(method: str, tmp_path: Path) -> None:
    save_generator(tiny_tokens("token-decoder"), tmp_path / "g")
    preset = FinetunePreset.of({"generator": str(tmp_path / "g"), "method": {"method": method}}, "test")
    with pytest.raises(UserError, match=rf"{method} tunes diffusion generators.*set --method to"):
        load_tuned(preset, "cpu")
