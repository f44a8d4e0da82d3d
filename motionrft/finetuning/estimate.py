"""What a run would cost: time of an ordinary trajectory, memory of that of the longest prompts; nothing is written."""

from dataclasses import dataclass

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneRun, FinetuneSession
from motionrft.text.base import TextEncoder
from motionrft.text.cost import text_cost
from motionrft.text.stand_in import StandInText
from motionrft.training.memory import MemoryMeter

_ADAM_COPIES = 3
"""A checkpoint holds the trained weights and AdamW's two update points."""


@dataclass(frozen=True)
class Estimate:
    """Parameters trained and in all; bytes; seconds an update and for the whole run (None without
    `updates`); what the prompts take to encode; network passes a denoising step; what the weights' licence allows.
    """

    trained: int
    parameters: int
    graph_bytes: int
    peak_bytes: int
    disk_bytes: int
    seconds_an_update: float
    seconds: float | None
    text: str
    passes: int
    licence: str


def _check_held_out(preset: FinetunePreset, session: FinetuneSession) -> None:
    """What the watch and the tables would read is there; nothing is embedded."""
    if preset.watch.every or preset.evaluation.prompts:
        if preset.evaluator is not None:
            load_evaluator(builtin.resolve(preset.evaluator, "evaluator"), session.device)
        for split in (preset.validation_split, preset.evaluation.split) if preset.data else ():
            MotionDataset(str(preset.data), split)


def _read_nothing(tuning: FinetuneRun) -> str:
    """Text encoders give way to stand-ins, once it is known that they could read the prompts; what that would take."""
    texts, reward, said = tuning.parts.prompts.texts, tuning.parts.reward, "-"
    if "text_encoder_name" in dir(tuning.generator):
        encoder = tuning.generator.text_encoder
        encoder.check(texts)
        said = text_cost(encoder, texts)
        tuning.generator.use_text_encoder(StandInText(encoder))
    for part in reward.modules():
        reader = vars(part).get("text_encoder")  # of a reward; a network's tower of that name is a module
        if isinstance(reader, TextEncoder):
            if "semantic" in getattr(part, "weights", {}):
                reader.check(texts)
            vars(part)["text_encoder"] = StandInText(reader)
    return said


def estimate(preset: FinetunePreset, session: FinetuneSession) -> Estimate:
    """Load everything and walk three trajectories.

    Raises:
        UserError: something that the preset names is missing or wrong.
    """
    _check_held_out(preset, session)
    watch = preset.watch.model_copy(update={"every": 0})
    evaluation = preset.evaluation.model_copy(update={"prompts": 0})
    tuning = FinetuneRun(preset.model_copy(update={"watch": watch, "evaluation": evaluation}), session)
    text = _read_nothing(tuning)
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
        text,
        tuning.generator.passes(tuning.sampling.guidance),
        tuning.generator.licence,
    )
