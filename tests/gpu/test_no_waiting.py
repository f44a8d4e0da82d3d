"""Nothing in a hot loop waits for the device: every family, method, reward and training, on tensors of shapes."""

from dataclasses import replace
from random import Random

import pytest
import torch
from motionrft.finetuning.methods.base import plan_of
from motionrft.registry import METHODS

from motionrft.diffusion.plan import sampling_plan
from motionrft.diffusion.rollout import Start, rollout
from motionrft.finetuning.objective import MicroBatch
from motionrft.finetuning.trainer import FinetuneTrainer
from motionrft.training.ema import Ema
from motionrft.training.memory import GraphBytes
from motionrft.training.optimiser import Optimiser
from tests.finetuning.small import small_preset, small_trainer
from tests.generators.families import TINY, tiny
from tests.gpu.fake_device import FakeDevice

FRAMES, STEPS = 40, 4


@pytest.mark.parametrize("name", TINY)
def test_a_trajectory_and_its_decoding_never_ask_the_device(name: str) -> None:
    generator = tiny(name)
    lengths = torch.tensor([FRAMES, FRAMES if generator.sees_padding else 32])
    condition, process = generator.encode_text(["a person walks", "waves"]), generator.process(STEPS)
    noise = torch.randn(generator.noise_shape(lengths))
    with FakeDevice() as device:
        generator.to(device.device)
        process = process.to(device.device)
        start = Start(
            noise.to(device.device), condition.to(device.device), lengths.to(device.device), None, FRAMES,
            lambda _: torch.randn(noise.shape, device=device.device),
        )  # fmt: skip
        device.clear()
        visits = list(rollout(generator, process, start, sampling_plan(STEPS), generator.guidance))
        generator.decode(visits[-1].step.sample, start.lengths, FRAMES)
        assert not device.waits and not device.copies and not device.doubles


SETTINGS = {
    "easytune": {"k": 2}, "easytune-chain": {"k": 2}, "refl": {"m": 2}, "draft": {"k": 2}, "drtune": {"k": 2, "m": 2},
    "dpo": {"candidates": 2}, "sopo": {"candidates": 2},
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS.names())
def test_no_update_of_any_method_asks_the_device(name: str) -> None:
    settings = {"method": name, **SETTINGS.get(name, {})}
    preset = small_preset(method=settings, steps=STEPS, eta=1.0, data="somewhere", ema=0.9, guidance=2.0)
    trainer = small_trainer(preset)
    micro_batch = trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]
    plan = plan_of(preset.method, STEPS, 1.0, Random(0))
    with FakeDevice() as device:
        micro_batch = _on(device, trainer, micro_batch)
        device.clear()
        updates = 0
        for point in trainer.objective(trainer.context, [micro_batch], plan, Random(0)):
            trainer._step(point)
            # AdamW of the first update makes its moments; the copy to fall back on is due every hundred updates.
            device.clear() if updates == 0 else None
            updates += 1
        assert updates and not device.waits and not device.doubles


def _on(device: FakeDevice, trainer: FinetuneTrainer, micro_batch: MicroBatch) -> MicroBatch:
    """A trainer and a batch that were made on the host, moved to the device."""
    context, start = trainer.context, micro_batch.start
    for module in (context.generator, context.judge, context.frozen.copy):
        module.to(device.device)
    named = dict(context.generator.denoiser.named_parameters())
    trainer.parameters = {name: named[name] for name in trainer.parameters}
    trainer.optimiser = Optimiser(trainer.parameters.items(), trainer.preset.optimiser)
    trainer.ema = Ema(context.generator.denoiser)
    trainer.context = replace(
        context, process=context.process.to(device.device), meter=GraphBytes([], device.device)
    )
    start.draw.__self__.device = device.device
    moved = {
        name: getattr(start, name).to(device.device)
        for name in ("noise", "condition", "lengths", "reward_condition")
    }
    motion = torch.randn(len(start.lengths), FRAMES, 263, device=device.device)
    return replace(micro_batch, start=replace(start, **moved), motion=motion)
