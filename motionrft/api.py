"""What a notebook does: the commands as functions of models, motions and texts; see `motionrft` for an example.

Everything that is called by a name or path here may be `builtin`, a folder, another project's checkpoint, or what an
installed package brings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from motionrft.errors import UserError
from motionrft.evaluation.evaluation_session import EvaluationSession
from motionrft.evaluation.preset import EvalPreset
from motionrft.evaluation.result import EvaluationResult
from motionrft.files import FileFault, Motion, read_motions, write_motion
from motionrft.files.checks import check_finite
from motionrft.files.conversion import Conversion, convert_motion
from motionrft.files.reading import ReadingOptions
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.run import finetune as run_finetuning
from motionrft.finetuning.session import Finetuned, FinetuneSession
from motionrft.generators.sampling import prompt_seeds, sample_batches
from motionrft.generators.text_to_motion import Asked, TextToMotion, asked_of
from motionrft.loading import load_generator, load_reward
from motionrft.reward.base import Learnt
from motionrft.reward.scoring import Query, Scorer, choose_terms, weigh
from motionrft.settings.base import Preset
from motionrft.settings.layers import resolve
from motionrft.training.devices import resolve_device, resolve_precision

P = TypeVar("P", bound=Preset)

__all__ = [
    "convert",
    "evaluate",
    "finetune",
    "load_generator",
    "load_motion",
    "load_reward",
    "sample",
    "save_motion",
    "score",
]


def load_motion(
    path: Path | str,
    representation: str | None = None,
    fps: float | None = None,
    reading: ReadingOptions | None = None,
) -> Motion:
    """The motion of a file (`motionrft.files.read_motions` reads files of several).

    Args:
        representation: what the file holds, by name; None recognises it. fps: a wanted rate; None keeps the file's.
        reading: what else a reader is told: axes, unit, part, joint map (`motionrft.files.reading.ReadingOptions`).

    Raises:
        UserError: missing, damaged, unknown, or not one motion alone.
    """
    motions = read_motions(path, representation, fps, options=reading)
    if len(motions) != 1:
        raise UserError(f"{path}: holds {len(motions)} motions; motionrft.files.read_motions gives them all.")
    return motions[0]


def save_motion(motion: Motion, path: Path | str) -> None:
    """Write a motion in the format of the path's suffix, whole or not at all; raises `UserError` for another one."""
    write_motion(path, _checked(motion))


def convert(motion: Motion | Path | str, to: str, fps: float | None = None) -> Motion:
    """The motion, or that of a file, as `kinematic`, `joints` or `rotation`, at its own rate or at `fps`."""
    given = load_motion(motion) if isinstance(motion, Path | str) else _checked(motion)
    return convert_motion(given, Conversion(to, fps=fps or given.fps))


def sample(
    prompts: str | Sequence[str],
    generator: TextToMotion | Path | str = "builtin",
    *,
    seconds: float = 4.0,
    seed: int = 0,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
    eta: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    batch: int = 16,
    device: str = "auto",
) -> list[Motion]:
    """Motions of texts, as `motionrft sample` makes them: a motion depends on its text and `seed` alone.

    Args:
        prompts: one text, or several.
        generator: loaded, or what `load_generator` takes; `device` is for the latter.
        seconds: length, within what the generator makes.
        steps, guidance, sampler, eta (diffusion), temperature, top_k (motion tokens): None stands for what it was
            tuned with, else for the published choice.

    Raises:
        UserError: no such generator, or settings that it does not know.
    """
    texts = [prompts] if isinstance(prompts, str) else list(prompts)
    model = generator if isinstance(generator, TextToMotion) else load_generator(generator, _device(device))
    lengths = model.frames(torch.full((len(texts),), seconds))  # (N,)
    settings = asked_of(model, Asked(sampler, eta, steps, guidance, None, temperature, top_k))
    made: dict[int, Motion] = {}
    for items, sampled in sample_batches(
        model, model.encode_text(texts), lengths, prompt_seeds(seed, texts), settings, batch
    ):
        for item, motion in zip(items.tolist(), sampled.clips(), strict=True):  # (T, D)
            array = motion.cpu().numpy()
            array = array.reshape(len(array), -1, 3) if model.representation == "joints" else array
            made[item] = Motion(
                array, model.representation, model.fps, Path(), name=texts[item], text=texts[item]
            )
    return [made[item] for item in range(len(texts))]


def score(
    motions: Motion | Path | str | Sequence[Motion | Path | str],
    reward: Learnt | Path | str | None = "builtin",
    *,
    texts: str | Sequence[str | None] | None = None,
    terms: Sequence[str] | None = None,
    device: str = "auto",
) -> list[dict[str, float | None]]:
    """Scores by term, as `motionrft score` gives them; None where a term needs a text and there is none.

    Args:
        motions: one, or several; of a file that is named all that it holds.
        reward: loaded, or what `load_reward` takes; None for physics alone.
        texts: one for all, or one a motion; None takes each motion's own.
        terms: of the reward, `physics`, or single physics terms; None: all there are.

    Raises:
        UserError: a motion that cannot be judged, a term that nothing gives, or another number of texts.
    """
    listed = [motions] if isinstance(motions, Motion | Path | str) else motions
    given = [
        motion
        for each in listed
        for motion in (read_motions(each) if isinstance(each, Path | str) else [_checked(each)])
    ]
    model: Any = load_reward(reward, device=_device(device)) if isinstance(reward, str | Path) else reward
    if model is not None:
        weigh(model, terms)
    said: list[str | None] = [motion.text for motion in given]
    if texts is not None:
        said = [texts] * len(given) if isinstance(texts, str) else list(texts)
    if len(said) != len(given):
        raise UserError(
            f"{len(said)} texts for {len(given)} motions: give one a motion, None where there is none."
        )
    queries = [Query(motion, text) for motion, text in zip(given, said, strict=True)]
    found = []
    for result in Scorer(model, choose_terms(terms, model)).score(queries):
        if isinstance(result, FileFault):
            raise UserError(result.message)
        found.append(dict(result.scores))
    return found


def evaluate(
    generator: Path | str = "builtin",
    *,
    against: Path | str | None = None,
    preset: str | None = None,
    **settings: Any,
) -> list[EvaluationResult]:
    """`motionrft eval generation`: the results of `against`, where it is given, and of the generator.

    Args:
        preset: a name of `--list-presets` or a YAML file. settings: its fields, such as `repeats=5, data="HumanML3D"`.

    Raises:
        UserError: something is missing or wrong; every mistake in the settings at once.
    """
    chosen = _preset(EvalPreset, preset, {"generator": str(generator), **settings})
    device = resolve_device(chosen.device, lambda _: None)
    session = EvaluationSession(chosen, device, resolve_precision(chosen.precision, device))
    return session.generation(None if against is None else str(against))


def finetune(
    out: Path | str,
    *,
    preset: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> Finetuned:
    """`motionrft finetune`: the run in the folder `out`, with the tuned generator in `out/generator` and its report.

    Args:
        preset: a name of `--list-presets` or a YAML file. settings: its fields, such as
            `method={"method": "easytune", "k": 5}, updates=200, reward="my_rewards:low_hands"`.

    Raises:
        UserError: something is missing or wrong; nothing was written. RunError: the run could not go on.
    """
    chosen = _preset(FinetunePreset, preset, settings)
    device = resolve_device(chosen.device, lambda _: None)
    dtype = resolve_precision(chosen.precision, device)
    return run_finetuning(chosen, FinetuneSession(Path(out), device, dtype, resume, overwrite))


def _checked(motion: Motion) -> Motion:
    """Raise `UserError` for what is no motion, or holds NaN."""
    if not isinstance(motion, Motion):
        raise UserError(
            f"{type(motion).__name__} is no motion: it does not say what it holds, nor at which rate. Name its file, "
            "or make a motionrft.files.Motion(array, representation, fps, source) of it."
        )
    check_finite(motion.array, motion.name or "the motion")
    return motion


def _preset(model: type[P], preset: str | None, settings: Mapping[str, Any]) -> P:
    flags = {name: (name, value) for name, value in settings.items()}
    return resolve(model, preset, flags=flags)


def _device(name: str) -> torch.device:
    return resolve_device(name, lambda _: None)
