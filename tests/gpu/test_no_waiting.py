"""Nothing in a hot loop waits for the device: every family, method and reward, on tensors of shapes."""

from random import Random

import pytest
import torch

from motionrft.diffusion.plan import sampling_plan
from motionrft.diffusion.rollout import Start, rollout
from motionrft.finetuning.methods.base import plan_of
from motionrft.registry import METHODS
from tests.generators.families import TINY, tiny
from tests.gpu.fake_device import FakeDevice
from tests.gpu.placing import FRAMES, STEPS, placed, trainer_of


@pytest.mark.parametrize("name", TINY)
def test_a_trajectory_and_its_decoding_never_ask_the_device(name: str) -> None:
    generator = tiny(name)
    lengths = torch.tensor([FRAMES, FRAMES if generator.sees_padding else 32])
    condition, process = generator.encode_text(["a person walks", "waves"]), generator.process(STEPS)
    noise = torch.randn(generator.noise_shape(lengths))
    with FakeDevice() as fake:
        generator.to(fake.device)
        process = process.to(fake.device)
        start = Start(
            noise.to(fake.device), condition.to(fake.device), lengths.to(fake.device), None, FRAMES,
            lambda _: torch.randn(noise.shape, device=fake.device),
        )  # fmt: skip
        fake.clear()
        visits = list(rollout(generator, process, start, sampling_plan(STEPS), generator.guidance))
        generator.decode(visits[-1].step.sample, start.lengths, FRAMES)
        assert not fake.waits and not fake.copies and not fake.doubles


_ONCE_A_BATCH = {"ddpo": 3, "grpo": 3, "sopo": 4}
"""What is asked once for hundreds of steps: positions' weights, and which samples have an advantage."""


@pytest.mark.parametrize("name", METHODS.names())
def test_no_update_of_any_method_asks_the_device(name: str) -> None:
    trainer, batch = trainer_of(name)
    plan = plan_of(trainer.preset.method, STEPS, 1.0, Random(0))
    with FakeDevice() as fake:
        batch = placed(trainer, batch, fake.device)
        fake.clear()
        updates = 0
        for point in trainer.objective(trainer.context, [batch], plan, Random(0)):
            if updates == 0:
                # The first update makes AdamW's moments and the copy to fall back on, due every hundred updates.
                trainer.optimiser.updates = 1
            trainer._step(point)
            updates += 1
        assert updates and fake.waits.total() <= _ONCE_A_BATCH.get(name, 0) and not fake.doubles


def test_a_planted_question_is_seen() -> None:
    with FakeDevice() as fake:
        x = torch.randn(3, device=fake.device)
        assert x.sum() and float(x.mean()) and x.cpu() is not None
        assert fake.waits.total() == 3
