"""A small trainer and its batch, made on the host and moved to a device, real or of shapes alone."""

from dataclasses import replace

import torch

from motionrft.finetuning.objective import MicroBatch
from motionrft.finetuning.trainer import FinetuneTrainer
from motionrft.training.ema import Ema
from motionrft.training.memory import GraphBytes
from motionrft.training.optimiser import Optimiser
from tests.finetuning.small import small_preset, small_trainer

STEPS, FRAMES = 4, 40
_SETTINGS = {
    "easytune": {"k": 2}, "easytune-chain": {"k": 2}, "refl": {"m": 2}, "draft": {"k": 2}, "drtune": {"k": 2, "m": 2},
    "dpo": {"candidates": 2}, "sopo": {"candidates": 2},
}  # fmt: skip


def trainer_of(method: str) -> tuple[FinetuneTrainer, MicroBatch]:
    """A trainer of that method on the host, and a batch of three prompts."""
    settings = {"method": method, **_SETTINGS.get(method, {})}
    preset = small_preset(method=settings, steps=STEPS, eta=1.0, data="somewhere", ema=0.9, guidance=2.0)
    trainer = small_trainer(preset)
    return trainer, trainer.prepared.micro_batches(torch.tensor([0, 1, 2]), 0, None)[0]


def placed(trainer: FinetuneTrainer, batch: MicroBatch, device: torch.device) -> MicroBatch:
    """Move a trainer to the device, in place; the batch there, with recorded motions."""
    context, start = trainer.context, batch.start
    judging = getattr(context.reward, "reward", context.reward)  # below what measures the terms' shares
    for module in (context.generator, judging, context.frozen.copy):
        module.to(device)
    named = dict(context.generator.denoiser.named_parameters())
    trainer.parameters = {name: named[name] for name in trainer.parameters}
    trainer.optimiser = Optimiser(trainer.parameters.items(), trainer.preset.optimiser)
    trainer.ema = Ema(context.generator.denoiser)
    trainer.context = replace(
        context,
        process=context.process.to(device),
        meter=GraphBytes([], device),
        backward=trainer.optimiser.backward,
    )
    start.draw.__self__.device = device
    names = ("noise", "condition", "lengths", "reward_condition")
    there = {name: getattr(start, name).to(device) for name in names}
    motion = torch.randn(len(start.lengths), FRAMES, 263).to(device)
    return replace(batch, start=replace(start, **there), motion=motion)
