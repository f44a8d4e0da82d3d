"""The README's own generator: registered as a package would, saved, loaded, sampled and tuned."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
import torch

from motionrft.diffusion.plan import StepPlan
from motionrft.diffusion.rollout import Start, rollout
from motionrft.generators import read_generator, save_generator
from motionrft.generators.sampling import sample
from tests.generators.families import WordEncoder

README = Path(__file__).parents[2] / "README.md"
SECTION = "A **generator** is a class"


def example() -> str:
    """The Python block of the README's section."""
    text = README.read_text()
    assert SECTION in text, f"the README has no section {SECTION!r}"
    found = re.search(r"```python\n(.*?)```", text.partition(SECTION)[2], re.S)
    assert found is not None, "that section has no Python block"
    return found[1]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example as an installed package with its entry point."""
    made = ModuleType("my_package")
    exec(example(), made.__dict__)
    monkeypatch.setitem(sys.modules, "my_package", made)
    point = EntryPoint("mine", "my_package:Mine", "motionrft.generators")
    monkeypatch.setattr(
        "motionrft.registry._entry_points", lambda group, path: [point] if group == point.group else []
    )
    return made


def test_the_example_saves_loads_samples_and_learns(module: ModuleType, tmp_path: Path) -> None:
    save_generator(module.Mine(width=16), tmp_path / "mine")
    generator = read_generator(tmp_path / "mine")
    generator.use_text_encoder(WordEncoder(width=384))
    condition, lengths = generator.encode_text(["walk", "run fast"]), torch.tensor([20, 30])
    motion = sample(generator, condition, lengths, [1, 2], generator.sampling(steps=4)).motion
    assert motion.shape == (2, 30, 263) and (motion[0, 20:] == 0).all()
    process = generator.process(4)
    start = Start(torch.randn(generator.noise_shape(lengths)), condition, lengths)
    plan = (StepPlan(graph=True, reward="x0", update="step", last=True),) * 4
    visit = next(
        iter(rollout(generator, process, start, plan, 1.0, lambda m, *_: (-m.square().mean((1, 2)), {})))
    )
    assert visit.reward is not None
    visit.reward.sum().backward()
    assert all(p.grad is not None for p in generator.denoiser.parameters())


def test_the_example_is_short() -> None:
    lines = [
        line for line in example().splitlines() if line.strip() and not line.startswith(("import", "from"))
    ]
    assert len(lines) <= 30
