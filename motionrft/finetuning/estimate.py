"""What a run would cost: time of an ordinary trajectory, memory of that of the longest prompts; nothing is written."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.finetuning.loading import generator_kind
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import FinetuneRun
from motionrft.finetuning.session import FinetuneSession
from motionrft.finetuning.token_run import TokenRun
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.preferences.judges.base import Item, Judge, Judgement
from motionrft.text.base import TextEncoder
from motionrft.text.cost import text_cost
from motionrft.text.stand_in import StandInText
from motionrft.training.memory import MemoryMeter

_ADAM_COPIES = 3
"""A checkpoint holds the trained weights and AdamW's two update points."""


@dataclass(frozen=True)
class Estimate:
    """Parameters trained and in all; bytes; seconds an update and for the whole run (None without
    `updates`); what the prompts take to encode; network passes a denoising step (None of tokens); what the licence of
    the weights allows.
    """

    trained: int
    parameters: int
    graph_bytes: int
    peak_bytes: int
    disk_bytes: int
    seconds_an_update: float
    seconds: float | None
    text: str
    passes: int | None
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
            if {"semantic", "contrast"} & set(getattr(part, "weights", {})):
                reader.check(texts)
            vars(part)["text_encoder"] = StandInText(reader)
    return said


def estimate(preset: FinetunePreset, session: FinetuneSession) -> Estimate:
    """Load everything and walk three trajectories.

    Raises:
        UserError: something that the preset names is missing or wrong.
    """
    if generator_kind(preset.generator) == "tokens":
        return _of_tokens(preset, session)
    _check_held_out(preset, session)
    watch = preset.watch.model_copy(update={"every": 0})
    evaluation = preset.evaluation.model_copy(update={"prompts": 0})
    tuning = FinetuneRun(preset.model_copy(update={"watch": watch, "evaluation": evaluation}), session)
    text = _read_nothing(tuning)
    trainer = tuning.trainer
    trainer.update(0)  # the first pays for what is computed once
    lines = trainer.update(0)
    lengths = tuning.parts.prompts.lengths
    order = lengths.argsort(descending=True)
    # The shortest among the longest: where a batch is padded, a mask is held for backward too.
    largest = torch.cat([order[: preset.batch - 1], order[preset.batch - 1 :][-1:]])
    longest = trainer.walk(largest, 0, 0)
    an_update = sum(line["seconds"] for line in lines) / max(len(lines), 1)
    graph = max((line["graph_bytes"] for line in longest), default=0)
    passes = tuning.generator.passes(tuning.sampling.guidance)
    return _estimated(
        preset, trainer.parameters, tuning.generator, trainer.planned, graph, an_update, text, passes
    )


class _Nobody(Judge):
    """Stands in for a judge that may cost money: every other motion is good."""

    name = identity = "nobody"

    def judge(self, items: Sequence[Item]) -> Iterator[tuple[int, Judgement]]:
        yield from ((place, Judgement(float(place % 2))) for place in range(len(items)))


def _of_tokens(preset: FinetunePreset, session: FinetuneSession) -> Estimate:
    """Of a language model of motion tokens: updates on motions, pairs, or own motions that nobody is asked about."""
    quiet = {"evaluation": preset.evaluation.model_copy(update={"prompts": 0})}
    tuning = TokenRun(preset.model_copy(update=quiet), session, judge=_Nobody())
    text = "-"
    if hasattr(tuning.generator, "text_encoder_name"):
        encoder = tuning.generator.text_encoder
        text = text_cost(encoder, tuning.trainer.texts)
        tuning.generator.use_text_encoder(StandInText(encoder))
    tuning.trainer.update(0)
    every, seconds = preset.method.updates_a_batch, list[float]()
    for step in range(every, every + min(every, 2)):  # the first of a batch may write it
        began = time.perf_counter()
        line = tuning.trainer.update(step)
        seconds.append(time.perf_counter() - began)
    an_update, generator = (seconds[0] + (every - 1) * seconds[-1]) / every, tuning.generator
    parameters, graph = tuning.trainer.parameters, int(line["graph_bytes"])
    return _estimated(preset, parameters, generator, tuning.total, graph, an_update, text)


def _estimated(
    preset: FinetunePreset,
    trained: Mapping[str, nn.Parameter],
    generator: TextToMotion,
    planned: int | None,
    graph_bytes: int,
    an_update: float,
    text: str,
    passes: int | None = None,
) -> Estimate:
    tuned = sum(p.numel() for p in trained.values())
    parameters = sum(p.numel() for p in generator.parameters())
    copies = max(preset.keep, 1) + 1  # the best stays beside the newest
    whole = None if planned is None else planned * an_update
    if preset.time_limit is not None:
        whole = min(whole or preset.time_limit, preset.time_limit)
    disk = 4 * (tuned * _ADAM_COPIES * copies + parameters)
    peak = MemoryMeter().read()["peak_bytes"]
    return Estimate(
        tuned, parameters, graph_bytes, peak, disk, an_update, whole, text, passes, generator.licence
    )
