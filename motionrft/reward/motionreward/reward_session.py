"""Where a reward's training works, what it reads, and what every stage leaves behind.

OUT/preset.yaml  OUT/semantic/ (a run folder)  OUT/preference/  OUT/authenticity/  OUT/reward/ (the result)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.reward.folder import save_reward
from motionrft.reward.held_out import add_references
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.training.environment import environment
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.stages import open_stage

REWARD = "reward"
STAGES = ("semantic", "preference", "authenticity")


def _no_pickles(path: Path) -> Any:
    raise UserError(f"{path}: published data files are read by `motionrft train-reward`, not from here")


@dataclass(frozen=True)
class RewardSession:
    """Where and on what a training works.

    watch: makes the progress of one stage, by its name.
    allow_changed: dotted preset keys that may differ on resume.
    open_pickle: opens published data files without running anything in them (`motionrft.official.pickles`).
    """

    out: Path
    device: torch.device
    precision: torch.dtype
    watch: Callable[[str], Progress]
    resume: bool = False
    overwrite: bool = False
    allow_changed: tuple[str, ...] = ()
    open_pickle: Callable[[Path], Any] = _no_pickles


@dataclass(frozen=True)
class Splits:
    """The data set's training and validation splits. Nothing here ever opens the test split."""

    train: MotionDataset
    validation: MotionDataset


def open_splits(folder: str | None, min_frames: int, max_frames: int) -> Splits:
    """Both splits of a data set folder.

    Raises:
        UserError: no folder was named, or a split is missing.
    """
    if folder is None:
        raise UserError("which data? Give --data DIR, a folder in HumanML3D's layout.")
    return Splits(*(MotionDataset(folder, split, min_frames, max_frames) for split in ("train", "val")))


def stage_folder(
    stage: str,
    preset: TrainRewardPreset,
    session: RewardSession,
    data: Splits,
    identity: dict[str, str] | None = None,
) -> RunFolder:
    """The stage's run folder; what other stages are told does not count as a change."""
    fields = preset.result_fields()
    shared = ("seed", "precision", "text", "model", "weights", "min_frames", "max_frames")
    return open_stage(
        session.out,
        stage,
        preset.to_yaml(),
        {name: fields[name] for name in (*shared, stage)},
        environment(session.device),
        resume=session.resume,
        overwrite=session.overwrite,
        allow_changed=session.allow_changed,
        identity={"data": data.train.identity, **(identity or {})},
    )


def finish_stage(
    stage: str, reward: MotionReward, preset: TrainRewardPreset, session: RewardSession, data: Splits
) -> None:
    """Write OUT/reward with its card, and where real motion scores."""
    reward.eval().requires_grad_(False)
    reward.about["stages"] = sorted({*reward.about.get("stages", ()), stage}, key=STAGES.index)
    add_references(reward, data.train, data.validation)
    save_reward(session.out / REWARD, reward, card(reward, preset), preset.weights)


def card(reward: MotionReward, preset: TrainRewardPreset) -> str:
    """The text that travels with the weights."""
    about = reward.about
    lines = [
        "# MotionReward",
        "",
        f"Representations: {', '.join(reward.network.size.representations)}.",
        f"Text encoder: {reward.text_encoder.name}.",
        f"Stages: {', '.join(about['stages'])}. Trained {date.today().isoformat()} with seed {preset.seed}.",
        f"Data: {about.get('data')} (training split only).",
        f"Licence: {about.get('licence') or 'that of the data'}.",
        "Command: `motionrft train-reward` with this preset:",
        "",
        "```yaml",
        preset.to_yaml().rstrip(),
        "```",
        "",
        *_recall_table(about.get("recall", {})),
        *_critic_table("Preference", about.get("preference", {})),
        *_critic_table("Authenticity", about.get("authenticity", {})),
    ]
    return "\n".join(lines) + "\n"


def _recall_table(recall: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    lines = [
        "Validation split, recall in per cent among 32 candidates (text finds motion):",
        "",
        "| representation | protocol | R@1 | R@2 | R@3 | R@5 | R@10 |",
        "|---|---|---|---|---|---|---|",
    ]
    for representation, protocols in recall.items():
        for protocol, values in protocols.items():
            numbers = " | ".join(f"{values[f't2m/R{k}']:.1f}" for k in (1, 2, 3, 5, 10))
            lines.append(f"| {representation} | {protocol} | {numbers} |")
    return lines


def _critic_table(title: str, report: dict[str, dict[str, float]]) -> list[str]:
    if not report:
        return []
    names = list(next(iter(report.values())))
    lines = [
        "",
        f"{title}, validation split:",
        "",
        f"| representation | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for representation, values in report.items():
        lines.append(f"| {representation} | {' | '.join(f'{values[name]:.3g}' for name in names)} |")
    return lines
