"""Where a reward's training works, what it reads, and what every stage leaves behind.

OUT/preset.yaml  OUT/semantic/ (a run folder)  OUT/preference/  OUT/authenticity/  OUT/reward/ (the result)
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from motionrft.builtin import resolve
from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.generators import TextToMotion, read_generator
from motionrft.reward.base import Learnt
from motionrft.reward.folder import save_reward
from motionrft.reward.held_out import add_references
from motionrft.reward.loading import read_reward_folder, reward_folder
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.reward.retrieval import protocol_in_words
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.environment import environment
from motionrft.training.fingerprints import folder_hash
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.stages import open_stage

REWARD = "reward"
STAGES = ("semantic", "preference", "authenticity")


def _read_folder(place: str) -> TextToMotion:
    return read_generator(resolve(place, "generator"))


def _no_pickles(path: Path) -> Any:
    raise UserError(f"{path}: published data files are read by `motionrft train-reward`, not from here")


def _our_folder(name: str, rank: int | None, data: Path | None) -> tuple[Learnt, str]:
    """A reward's folder, and its hash: what there is where nobody brings more."""
    folder = reward_folder(name)
    return read_reward_folder(folder), folder_hash(folder)


@dataclass(frozen=True)
class RewardSession:
    """Where and on what a training works.

    watch: makes the progress of one stage, by its name.
    allow_changed: dotted preset keys that may differ on resume.
    dry_run: `watch` measures; texts are not encoded, and nothing is embedded for validation.
    open_pickle: opens published data files without running anything in them (`motionrft.official.pickles`).
    open_reward: reads a reward by name (checkpoints too), with the rank of its adapters where several lie there and the
        data set whose statistics stand in for missing ones; returns it with its hash.
    open_generator: a generator by what a preset names. say: told what people should know.
    company: the processes that train together; the first of them writes.
    """

    out: Path
    device: torch.device
    precision: torch.dtype
    watch: Callable[[str], Progress]
    resume: bool = False
    overwrite: bool = False
    allow_changed: tuple[str, ...] = ()
    dry_run: bool = False
    open_pickle: Callable[[Path], Any] = _no_pickles
    open_reward: Callable[[str, int | None, Path | None], tuple[Learnt, str]] = _our_folder
    open_generator: Callable[[str], TextToMotion] = _read_folder
    say: Callable[[str], None] = lambda _: None
    company: Distribution = ALONE

    def motionreward(
        self, name: str, rank: int | None = None, data: str | None = None
    ) -> tuple[MotionReward, str]:
        """A MotionReward on the session's device, and its hash.

        Raises:
            UserError: there is none, or a reward of another family, which has no stages.
        """
        reward, identity = self.open_reward(name, rank, None if data is None else Path(data))
        if not isinstance(reward, MotionReward):
            raise UserError(
                f"{name}: a {reward.family}; this command works on rewards of the family motionreward."
            )
        return reward.to(self.device), identity


@dataclass(frozen=True)
class Splits:
    """The data set's training and validation splits. Nothing here ever opens the test split."""

    train: MotionDataset
    validation: MotionDataset

    @property
    def identity(self) -> dict[str, str]:
        """What a run that reads them is told apart by."""
        return {"data": self.train.identity, "validation": self.validation.identity}


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
) -> AbstractContextManager[RunFolder | None]:
    """The stage's run folder, in the first process; what other stages are told does not count as a change."""
    fields = preset.result_fields()
    shared = ("seed", "precision", "text", "model", "weights", "min_frames", "max_frames")
    opened = session.company.first(
        lambda: open_stage(
            session.out,
            stage,
            preset.to_yaml(),
            {name: fields[name] for name in (*shared, stage)},
            environment(session.device),
            resume=session.resume,
            overwrite=session.overwrite,
            allow_changed=session.allow_changed,
            identity={**data.identity, **(identity or {})},
        )
    )
    return opened or nullcontext()


def finish_stage(
    stage: str, reward: MotionReward, preset: TrainRewardPreset, session: RewardSession, data: Splits
) -> None:
    """Write OUT/reward with its card, and where real motion scores."""
    reward.eval().requires_grad_(False)
    reward.about["stages"] = sorted({*reward.about.get("stages", ()), stage}, key=STAGES.index)
    add_references(reward, data.train, data.validation)
    session.company.first(
        lambda: save_reward(session.out / REWARD, reward, card(reward, preset), preset.weights)
    )


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
        *_critic_table(f"Preference ({about.get('preference_pairs')})", about.get("preference", {})),
        *_critic_table(
            f"Authenticity (generated by {', '.join(about.get('authenticity_fakes', []))})",
            about.get("authenticity", {}),
        ),
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
            lines.append(f"| {representation} | {protocol_in_words(protocol, values)} | {numbers} |")
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
