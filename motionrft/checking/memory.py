"""What a run holds in memory besides what it computes, and on disk, by counting; nothing is allocated."""

from torch import nn

from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.finetuning.adapters import prepare_training
from motionrft.finetuning.methods.base import method_named
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet
from motionrft.generators.base import Generator
from motionrft.reward.base import Reward
from motionrft.text.cache import HELD
from motionrft.text.shard import STORED
from motionrft.training.outline import outlined

MIB = 2**20
_FLOAT = 4
_GRADIENT_AND_ADAM = 3
"""Copies of each trained number: its gradient and AdamW's two moments."""
_WORDS_TO_TOKENS = 1.4
_SPECIAL_TOKENS = 2


def memory_rows(
    run: FinetunePreset,
    generator: Generator,
    reward: Reward | None,
    evaluator: Evaluator | None,
    prompts: PromptSet,
    texts: list[str],
) -> dict[str, float]:
    """MiB by what they are for, at the full number of prompts; the last is the sum of what is in memory at once.

    The graph of an update is not among them: it depends on the batch, and `finetune --dry-run` measures it.
    """
    held = {
        "generator": _bytes(generator),
        "reward": 0 if reward is None else _bytes(reward),
        "evaluator": 0 if evaluator is None else _bytes(evaluator),
    }
    held["untuned copy"] = 0 if run.lora.enabled else _bytes(generator.denoiser)
    with outlined():
        trained = sum(p.numel() for _, p in prepare_training(generator, run.lora, run.freeze))
    held["gradients and AdamW"] = _GRADIENT_AND_ADAM * _FLOAT * trained
    features = _text_bytes(generator, texts)
    held["text features in memory"] = min(features, HELD)
    held["references of all prompts"] = _reference_bytes(run, reward, prompts)
    rows = {name: round(size / MIB, 2) for name, size in held.items() if size}
    rows["together, before the first update"] = round(sum(held.values()) / MIB, 2)
    rows["text features on disk"] = round(features / MIB, 2)
    return rows


def _bytes(module: nn.Module) -> int:
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _text_bytes(generator: Generator, texts: list[str]) -> int:
    """Of the generator's text features, from the number of words where an encoder's tokens are as many as the text's."""
    if "text_encoder_name" not in dir(generator):
        return 0
    encoder = generator.text_encoder
    tokens = sum(
        encoder.fixed_tokens or round(_WORDS_TO_TOKENS * len(text.split())) + _SPECIAL_TOKENS
        for text in texts
    )
    pooled = len(texts) * (encoder.pooled_width or 0)
    return STORED.itemsize * (tokens * encoder.width + pooled)


def _reference_bytes(run: FinetunePreset, reward: Reward | None, prompts: PromptSet) -> int:
    """One embedding a prompt, caption and noise, where the run keeps them."""
    noises = run.reference.noises if method_named(run.method.method).follows_plan else None
    own = run.reference.source == "frozen" and "motion" not in run.needs
    if reward is None or not run.weights.get("similarity") or noises is None or not own:
        return 0
    most = max(map(len, prompts.captions)) if prompts.captions else 1
    return _FLOAT * reward.width * len(prompts) * noises * most
