"""The preflight of a fine-tuning run: do its parts fit together, said before any of them is loaded.

Models are outlines (`motionrft.training.outline`), so the questions are those that the run itself asks, by its own code;
but all of them are asked, where the run stops at the first that is answered wrongly.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from motionrft import builtin
from motionrft.checking import models
from motionrft.checking.data import data_facts
from motionrft.checking.memory import memory_rows
from motionrft.checking.preset import CheckPreset
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.generation import NOBODY
from motionrft.evaluation.numbers import CANDIDATES
from motionrft.finetuning.fitting import check_contrast, check_gradient, check_perception, other_rate
from motionrft.finetuning.held_out import usual_evaluator
from motionrft.finetuning.loading import check_kind, load_prompts, load_weighed
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet
from motionrft.finetuning.sampling_choice import tuning_sampling
from motionrft.generators.base import Generator
from motionrft.loading import loaded_for
from motionrft.official.rewards import Beside, is_checkpoint
from motionrft.physics import COSTS
from motionrft.representations.names import KINEMATIC
from motionrft.reward.base import Learnt, Reward
from motionrft.reward.kimodo_terms import FEATURE_COSTS
from motionrft.reward.loading import Terms
from motionrft.reward.naming import is_own
from motionrft.settings.layers import resolve
from motionrft.text.base import TextEncoder
from motionrft.training.outline import DEVICE, outlined

T = TypeVar("T")
_RATE = 0.01
"""Frames a second by which rates may differ and be the same."""


@dataclass
class Preflight:
    """parts: facts by part (generator, reward, data, evaluator). run: what the run will do, by name.

    problems: why it cannot; notes: what a person should know. Sentences, each once.
    """

    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, question: Callable[[], T]) -> T | None:
        """The answer, or None where it is a complaint, which is kept."""
        try:
            return question()
        except UserError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def note(self, text: str) -> None:
        """Keep a sentence."""
        if text not in self.notes:
            self.notes.append(text)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": "preflight",
            "parts": self.parts,
            "run": self.run,
            "notes": self.notes,
            "problems": self.problems,
        }


def preflight(preset: CheckPreset) -> Preflight:
    """Ask everything that a run of these parts would ask."""
    found = Preflight()
    run = found.attempt(lambda: run_preset(preset))
    if run is None:
        return found
    generator = found.attempt(lambda: loaded_for(run, models.outline_generator(run.generator)))
    learnt = found.attempt(lambda: _learnt(run))
    evaluator = None
    if run.evaluator is not None:
        evaluator = found.attempt(lambda: models.outline_evaluator(str(run.evaluator)))
    facts = None
    if run.data is not None:
        facts = found.attempt(lambda: data_facts(Path(str(run.data))))
    if generator is not None:
        found.parts["generator"] = {"path": run.generator, **models.generator_facts(generator)}
    if learnt is not None:
        found.parts["reward"] = {"path": run.reward, **models.reward_facts(learnt)}
    if facts is not None:
        found.parts["data"] = {"path": run.data, **facts}
    if evaluator is not None:
        found.parts["evaluator"] = {"path": run.evaluator, **models.evaluator_facts(evaluator)}
    _check_widths(found, run)
    _check_terms(found, run, learnt)
    if generator is not None:
        found.attempt(lambda: check_kind(run, generator))
    if isinstance(generator, Generator):
        _check_run(found, run, generator, evaluator)
    return found


def run_preset(preset: CheckPreset) -> FinetunePreset:
    """The fine-tuning that is meant; raises `UserError` where its settings cannot be."""
    given = {name: getattr(preset, name) for name in ("generator", "reward", "data", "evaluator", "method")}
    flags = {name: (f"--{name}", value) for name, value in given.items() if value is not None}
    return resolve(FinetunePreset, preset.finetune, (), flags)


def _learnt(run: FinetunePreset) -> Learnt | None:
    """The reward that is named, where it has weights of its own that the run reads."""
    if is_own(run.reward) or not _learnt_terms(run):
        return None
    return models.outline_reward(run.reward, _beside(run))


def _learnt_terms(run: FinetunePreset) -> list[str]:
    """Terms with a weight that a reward with weights of its own has to give."""
    given = {name: weight for name, weight in run.weights.items() if weight and name not in FEATURE_COSTS}
    return list(Terms.of(given).learnt) if given else []


def _beside(run: FinetunePreset) -> Beside:
    return Beside(data=None if run.data is None else Path(run.data), rank=run.reward_rank)


def _check_widths(found: Preflight, run: FinetunePreset) -> None:
    """One skeleton throughout: values a frame of kinematic motions tell it."""
    widths: dict[str, int] = {}
    for name, facts in found.parts.items():
        width = facts["values_a_frame"]
        width = width.get(KINEMATIC) if isinstance(width, dict) else width
        kinematic = name in ("reward", "data") or facts["representation"] == KINEMATIC
        if width is not None and kinematic:
            widths[name] = width
    if len(set(widths.values())) > 1:
        said = ", ".join(f"the {name} {found.parts[name]['path']} {width}" for name, width in widths.items())
        found.problems.append(
            f"values a frame differ: {said} (263 is HumanML3D, 251 KIT-ML). Name parts of one data set."
        )


def _check_terms(found: Preflight, run: FinetunePreset, learnt: Learnt | None) -> None:
    """Which terms the run would weigh, and which of them nobody gives."""
    found.run["terms"] = {name: weight for name, weight in run.weights.items() if weight}
    if learnt is not None:
        given = (*learnt.terms, *learnt.asked)
        missing = [name for name in _learnt_terms(run) if name not in given]
        found.run["missing_terms"] = missing
        for name in missing:
            found.problems.append(
                f"no term is called {name!r}: {run.reward} gives {', '.join(given)}, physics gives "
                f"{', '.join(COSTS)}."
            )


def _check_run(
    found: Preflight, run: FinetunePreset, generator: Generator, evaluator: Evaluator | None
) -> None:
    """Everything that is asked of a generator together with the other parts."""
    found.run["method"] = run.method.method
    sampling = found.attempt(lambda: tuning_sampling(generator, run, found.note))
    if sampling is not None:
        found.run["sampling"] = sampling.title
    reward = None if found.run.get("missing_terms") else found.attempt(lambda: _weighed(run, generator))
    if reward is not None:
        found.attempt(lambda: check_gradient(run, reward))
        found.attempt(lambda: check_perception(run, reward))
        found.run["noise_mode"] = _noise(found, reward)
        if another := other_rate(reward, generator.fps):
            found.note(f"{run.reward} {another}")
    if evaluator is not None and generator.representation == evaluator.representation:
        width = generator.motion_width
        if width is not None and not found.problems:
            found.attempt(lambda: evaluator.check_fits(width, f"the generator {run.generator}"))
    _check_looking(found, run)
    if found.problems:
        return
    prompts = found.attempt(lambda: load_prompts(run, generator))
    if prompts is None:
        return
    found.run["prompts"] = len(prompts)
    found.run["captions"] = len(_texts(prompts))
    found.attempt(lambda: _check_texts(generator, reward, _texts(prompts)))
    if reward is not None and (said := found.attempt(lambda: check_contrast(reward, prompts))):
        found.note(said)
    if run.evaluator is None and (run.watch.every or run.evaluation.prompts):
        chosen = found.attempt(lambda: usual_evaluator(run, generator) or "none")
        found.run["evaluator"] = chosen or "none"
        if chosen == "none":
            found.note(NOBODY)
    found.run["converted"] = _converted(found, run, generator, evaluator)
    found.run["memory"] = memory_rows(run, generator, reward, evaluator, prompts, _texts(prompts))


def _weighed(run: FinetunePreset, generator: Generator) -> Reward:
    with outlined():
        return load_weighed(run, generator, DEVICE)[0]


def _noise(found: Preflight, reward: Reward) -> str:
    mode = found.parts.get("reward", {}).get("noise_mode")
    judged = "noisy states can be judged" if reward.learnt_noise else "clean motions alone are judged"
    return judged if mode is None else f"{mode}: {judged}"


def _check_looking(found: Preflight, run: FinetunePreset) -> None:
    """The splits that the watch and the tables look at are there, and have enough to rank."""
    splits = found.parts.get("data", {}).get("splits")
    looked_at = run.evaluation.data or run.data
    if splits is None or looked_at != run.data:
        return
    wanted = {
        run.split: True,
        run.validation_split: run.watch.every,
        run.evaluation.split: run.evaluation.prompts,
    }
    for name, used in wanted.items():
        if used and name not in splits:
            found.problems.append(
                f"{run.data}: no split {name!r} (there are: {', '.join(splits) or 'none'})."
            )
        elif used and name != run.split and splits[name] < CANDIDATES:
            found.note(
                f"{run.data}: split {name!r} has {splits[name]} clips, and R-Precision ranks {CANDIDATES}: physics and "
                "the reward are shown alone."
            )


def _texts(prompts: PromptSet) -> list[str]:
    """Every distinct text that will be read."""
    listed = prompts.captions or [(text,) for text in prompts.texts]
    return sorted({text for texts in listed for text in texts})


def _check_texts(generator: Generator, reward: Reward | None, texts: list[str]) -> None:
    """The text encoders could read the prompts here; raises `UserError` where one is not on this machine."""
    if "text_encoder_name" in dir(generator):
        generator.text_encoder.check(texts)
    for part in () if reward is None else reward.modules():
        reader = vars(part).get("text_encoder")
        if isinstance(reader, TextEncoder) and {"semantic", "contrast"} & set(getattr(part, "weights", {})):
            reader.check(texts)


def _converted(
    found: Preflight, run: FinetunePreset, generator: Generator, evaluator: Evaluator | None
) -> list[str]:
    """What will be brought into another form on the way, each a few words."""
    said = []
    data = found.parts.get("data")
    if data is not None and abs(data["fps"] - generator.fps) > _RATE:
        said.append(f"lengths and motions of the data: {data['fps']:g} to {generator.fps:g} frames a second")
    if data is not None and "motion" in run.needs and generator.trained_on not in data["representations"]:
        said.append(f"motions of the data: {data['representations'][0]} to {generator.trained_on}")
    if evaluator is not None and evaluator.representation != generator.representation:
        said.append(f"motions for the evaluator: {generator.representation} to {evaluator.representation}")
    if evaluator is not None and abs(evaluator.fps - generator.fps) > _RATE:
        said.append(f"motions for the evaluator: {generator.fps:g} to {evaluator.fps:g} frames a second")
    for name, path in (("generator", run.generator), ("reward", run.reward)):
        if path not in builtin.GENERATORS and (Path(path).is_file() or is_checkpoint(path)):
            said.append(f"the {name}: read from its project's checkpoint at every start")
    return said
