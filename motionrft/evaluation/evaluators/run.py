"""`train-reward --stage evaluator` as a function: a judge for the results, trained apart from every reward.

OUT/preset.yaml  OUT/training/ (a run folder)  OUT/evaluator/ (the result)
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.evaluation.evaluators.loading import load_evaluator
from motionrft.evaluation.evaluators.training import EvaluatorTraining, train_evaluator
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.numbers import CANDIDATES, real_numbers
from motionrft.evaluation.result import collect
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.text import load_text_encoder
from motionrft.training.atomic import write_text
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.environment import environment
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder

EVALUATOR = "evaluator"
_SEEDS = range(5)
"""Caption draws of the validation."""


def run_evaluator_training(
    preset: TrainRewardPreset,
    out: Path,
    device: torch.device,
    progress: Progress,
    resume: bool = False,
    overwrite: bool = False,
    allow_changed: Sequence[str] = (),
    company: Distribution = ALONE,
) -> dict[str, float]:
    """Train on the split `train`, write OUT/evaluator, and look at the split `val`.

    Args:
        company: the processes that train together; the first of them writes, and looks in the end.

    Returns:
        R-Precision and MM-Dist of the validation split's real motions, by name; empty where it has under 32
        items.

    Raises:
        UserError: no data, or a folder that is something else.
        Interrupted: a signal; what is saved can be resumed.
    """
    if preset.data is None:
        raise UserError("--data is missing: an evaluator is trained on a data set folder.")
    train, validation = (
        MotionDataset(preset.data, split, preset.min_frames, preset.max_frames) for split in ("train", "val")
    )
    part = preset.evaluator
    settings = EvaluatorTraining(
        part.updates,
        part.batch,
        part.lr,
        part.weight_decay,
        part.label_smoothing,
        part.feature_noise,
        preset.seed,
        part.batches,
    )
    dtype = torch.float16 if preset.weights == "fp16" else torch.float32

    def opened() -> RunFolder:
        return RunFolder.open(
            out / "training",
            preset.result_fields(),
            environment(device),
            resume=resume,
            overwrite=overwrite,
            identity={"data": train.identity, "validation": validation.identity},
            allow_changed=allow_changed,
        )

    with company.first(opened) or nullcontext() as folder:
        if folder is not None:
            write_text(out / "preset.yaml", preset.to_yaml())
        encoder = load_text_encoder(preset.text)
        train_evaluator(
            train, encoder, out / EVALUATOR, settings, None, device, folder, progress, dtype, company
        )
    return company.first(lambda: validate(out / EVALUATOR, validation, device)) or {}


def validate(folder: Path, validation: MotionDataset, device: torch.device) -> dict[str, float]:
    """How well real motions and their captions find each other, mean over five caption draws."""
    if len(validation) < CANDIDATES:
        return {}
    evaluator = load_evaluator(folder, device)
    items = FixedItems.of_dataset(validation, evaluator)
    draws = [items.draw(seed) for seed in _SEEDS]
    numbers = [
        real_numbers(drawn, evaluator.embed_text(drawn.captions), seed)
        for seed, drawn in zip(_SEEDS, draws, strict=True)
    ]
    wanted = ("_r1", "_r2", "_r3", "mm_dist")
    return {name: sum(v) / len(v) for name, v in collect(numbers).items() if name.endswith(wanted)}
