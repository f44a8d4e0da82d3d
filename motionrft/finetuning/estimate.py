"""What a run would cost: time of an ordinary trajectory, memory of that of the longest prompts; nothing is written."""

from dataclasses import dataclass

from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneRun, FinetuneSession
from motionrft.training.memory import MemoryMeter

_ADAM_COPIES = 3
"""A checkpoint holds the trained weights and AdamW's two update points."""


@dataclass(frozen=True)
class Estimate:
    """Parameters trained and in all; bytes; seconds an update and for the whole run (None without
    `updates`).
    """

    trained: int
    parameters: int
    graph_bytes: int
    peak_bytes: int
    disk_bytes: int
    seconds_an_update: float
    seconds: float | None


def estimate(preset: FinetunePreset, session: FinetuneSession) -> Estimate:
    """Load everything and walk three trajectories.

    Raises:
        UserError: something that the preset names is missing or wrong.
    """
    tuning = FinetuneRun(preset, session)
    trainer = tuning.trainer
    trainer.update(0)  # the first pays for what is computed once
    lines = trainer.update(0)
    lengths = tuning.parts.prompts.lengths
    longest = trainer.walk(lengths.argsort(descending=True)[: preset.batch], 0, 0)
    trained = sum(p.numel() for p in trainer.parameters.values())
    parameters = sum(p.numel() for p in tuning.generator.parameters())
    an_update = sum(line["seconds"] for line in lines) / max(len(lines), 1)
    copies = max(preset.keep, 1) + 1  # the best stays beside the newest
    whole = None if trainer.planned is None else trainer.planned * an_update
    if preset.time_limit is not None:
        whole = min(whole or preset.time_limit, preset.time_limit)
    return Estimate(
        trained,
        parameters,
        max((line["graph_bytes"] for line in longest), default=0),
        MemoryMeter().read()["peak_bytes"],
        4 * (trained * _ADAM_COPIES * copies + parameters),
        an_update,
        whole,
    )
