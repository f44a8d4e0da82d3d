"""What a model is, from its outline: our folders and other projects' checkpoints, without their numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from motionrft.checking.found import Found, faulty, on_disk
from motionrft.errors import UserError
from motionrft.evaluation.evaluators import load_evaluator
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.items import FixedItems
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.loading import load_generator, open_reward
from motionrft.official import generators as official_generators
from motionrft.official import rewards as official_rewards
from motionrft.official.evaluators import GROUPS, WORDS, is_published_evaluator
from motionrft.official.pickles import read_pickle
from motionrft.official.rewards import NOTHING_SAID, Beside, read_content
from motionrft.official.tmr import is_weights_folder
from motionrft.parsing import read_json
from motionrft.registry import EVALUATORS, GENERATORS, REWARDS
from motionrft.reward.base import Learnt
from motionrft.text.base import TextEncoder
from motionrft.training.outline import DEVICE, outlined
from motionrft.training.weights import CONFIG

GENERATOR, REWARD, EVALUATOR = "generator", "reward", "evaluator"
_PIECES = {
    "lora_state_dict": "adapter of a MotionReward critic (it is read beside its backbone)",
    "head_state_dict": "head of a MotionReward critic (it is read beside its backbone)",
}


def outline_generator(path: Path | str) -> TextToMotion:
    """A generator without its numbers; raises `UserError` as `load_generator`."""
    with outlined():
        return load_generator(path, DEVICE)


def outline_reward(path: Path | str, beside: Beside = NOTHING_SAID) -> Learnt:
    """A reward without its numbers; raises `UserError` as `open_reward`."""
    with outlined():
        return open_reward(path, beside)


def outline_evaluator(path: Path | str) -> Evaluator:
    """An evaluator without its numbers; raises `UserError` as `load_evaluator`."""
    with outlined():
        return load_evaluator(path, DEVICE)


def generator_facts(generator: TextToMotion) -> dict[str, Any]:
    """What tells generators apart."""
    facts = {
        "family": generator.family,
        "representation": generator.representation,
        "values_a_frame": generator.motion_width or len(generator.mean),
        "fps": generator.fps,
        "frames": [generator.min_frames, generator.max_frames],
        "made_by": generator.kind,
        "predicts": getattr(generator, "parametrisation", None),
        "sampling": generator.sampling().title,
        "tuned": generator.tuned_with is not None,
        "statistics": f"its own, {len(generator.mean)} values",
        "text_encoder": getattr(generator, "text_encoder_name", None),
        "parameters": parameters(generator),
        "trained_parameters": parameters(generator.tuned),
        "licence": generator.licence or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def reward_facts(reward: Learnt) -> dict[str, Any]:
    """What tells rewards apart; `noise_mode` is M1T0 and the like, where it is known."""
    size = getattr(getattr(reward, "network", None), "size", None)
    about = getattr(reward, "about", {})
    encoder = vars(reward).get("text_encoder")
    names = list(getattr(size, "representations", [reward.representation]))
    facts = {
        "family": reward.family,
        "terms": list(reward.terms),
        "weights": dict(reward.weights),
        "representations": names,
        "statistics": None if reward.family == "motioncritic" else f"its own of {', '.join(names)}",
        "values_a_frame": reward.kinematic_width,
        "fps": about.get("fps"),
        "noise_mode": getattr(size, "mode", None),
        "learnt_noise": reward.learnt_noise,
        "most_frames": reward.max_frames,
        "data": about.get("data"),
        "text_encoder": encoder.name if isinstance(encoder, TextEncoder) else None,
        "parameters": parameters(reward),
    }
    return {name: value for name, value in facts.items() if value is not None}


def evaluator_facts(evaluator: Evaluator) -> dict[str, Any]:
    """What tells evaluators apart."""
    return {
        "family": evaluator.name,
        "representation": evaluator.representation,
        "values_a_frame": evaluator.width,
        "fps": evaluator.fps,
        "statistics": "its own",
        "comparable": evaluator.comparable,
        "parameters": parameters(evaluator),
    }


def parameters(module: nn.Module) -> int:
    """How many there are."""
    return sum(parameter.numel() for parameter in module.parameters())


def model_folder(path: Path) -> Found:
    """A folder with our `config.json`: generator, reward, evaluator, or held-out items."""
    try:
        config = read_json(path / CONFIG)
        family = str(config.get("family"))
        if family in GENERATORS:
            return _described(path, GENERATOR, lambda: generator_facts(outline_generator(path)))
        if family in REWARDS:
            return _described(path, REWARD, lambda: reward_facts(outline_reward(path)))
        if family in EVALUATORS:
            return _described(path, EVALUATOR, lambda: evaluator_facts(outline_evaluator(path)))
        if "items" in config:
            return _described(path, "evaluation items", lambda: _item_facts(path))
        return Found(path, "model", {}, f"{path}: a model of the family {family!r}, which nothing here is.")
    except UserError as error:
        return faulty(path, "model", error)


def published_evaluator(path: Path) -> Found:
    """Guo et al.'s `checkpoints/t2m` or `checkpoints/kit`."""
    facts = {"project": "text-to-motion (Guo et al. 2022)"}
    return _described(path, EVALUATOR, lambda: facts | evaluator_facts(outline_evaluator(path)))


def _opened(folder: Path) -> Path:
    """TMR's folder of weights itself, or the one checkpoint in another project's folder."""
    return folder if is_weights_folder(folder) else official_generators.checkpoint_in(folder)


def checkpoint(path: Path) -> Found:
    """Another project's checkpoint: which one's is told by its keys."""
    try:
        with outlined():
            content = read_content(_opened(path)) if path.is_dir() else read_pickle(path)
    except UserError as error:
        return faulty(path, "checkpoint", error)
    if isinstance(content, dict):
        if family := official_generators.recognise(content):
            named = {"project": GENERATORS.help_of(family).partition(":")[0]}
            return _described(path, GENERATOR, lambda: named | generator_facts(outline_generator(path)))
        if family := official_rewards.recognise(content):
            named = {
                "project": "SPM (EasyTune)" if family == "spm" else REWARDS.help_of(family).partition(":")[0]
            }
            return _described(path, REWARD, lambda: named | reward_facts(outline_reward(path)))
        for key, said in _PIECES.items():
            if key in content:
                return _described(path, said, dict)
        if all(group in content for group in GROUPS):
            return Found(
                path,
                "checkpoint",
                {},
                f"{path}: Guo et al.'s evaluator; name its folder (checkpoints/t2m or kit).",
            )
    shown = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
    return Found(
        path, "checkpoint", {}, f"{path}: a checkpoint of no project that is known here (it holds {shown})."
    )


def is_model(path: Path) -> bool:
    """Whether a folder is one model."""
    return (path / CONFIG).is_file() or is_published_evaluator(path)


def is_words(path: Path) -> bool:
    """Whether a folder is the `glove/` of Guo et al.'s evaluators."""
    return (path / WORDS[0]).is_file()


def words(path: Path) -> Found:
    """Word vectors, which an evaluator beside them reads."""
    lacking = [name for name in WORDS if not (path / name).is_file()]
    problem = f"{path}: {', '.join(lacking)} missing; the evaluator needs it." if lacking else None
    return Found(path, "word vectors (Guo et al. 2022)", {"files": list(WORDS)}, problem)


def _item_facts(path: Path) -> dict[str, Any]:
    items = FixedItems.load(path)
    return {"split": items.split, "items": len(items.items)}


def _described(path: Path, kind: str, facts: Callable[[], dict[str, Any]]) -> Found:
    """A thing with its facts, or with what is wrong with it."""
    try:
        told, there = facts(), on_disk(path)
        own = told.get("licence") if there["licence"] is None else there["licence"]
        return Found(path, kind, told | there | {"licence": own})
    except UserError as error:
        return faulty(path, kind, error)
