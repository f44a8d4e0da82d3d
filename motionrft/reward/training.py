"""`train-reward` as a function: the stages in order, each resumable, the reward written after each.

OUT/preset.yaml  OUT/semantic/ (a run folder)  OUT/preference/  OUT/authenticity/  OUT/reward/ (the result)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.presets.train_reward import TrainRewardPreset
from motionrft.reward.encoder import MotionRewardNetwork
from motionrft.reward.folder import load_motionreward, save_reward
from motionrft.reward.motionreward import MotionReward
from motionrft.reward.quantiles import training_quantiles
from motionrft.reward.semantic import SemanticTrainer, validate, warm_text_cache
from motionrft.text.registry import load_text_encoder
from motionrft.training.environment import environment
from motionrft.training.loop import train
from motionrft.training.progress import Progress
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything
from motionrft.training.stages import open_stage

REWARD = "reward"
STAGES = ("semantic", "preference", "authenticity")


@dataclass(frozen=True)
class Session:
    """Where and on what a `train-reward` run works.

    watch: makes the progress of one stage, by its name.
    allow_changed: dotted preset keys that may differ on resume.
    """

    out: Path
    device: torch.device
    precision: torch.dtype
    watch: Callable[[str], Progress]
    resume: bool = False
    overwrite: bool = False
    allow_changed: tuple[str, ...] = ()


def train_reward(preset: TrainRewardPreset, session: Session) -> MotionReward:
    """Train the stages that the preset asks for and that OUT/reward does not have yet.

    Returns:
        The reward as it lies in OUT/reward, in eval mode.

    Raises:
        UserError: no data, or a stage whose forerunner is missing.
        Interrupted: a signal; what is saved can be resumed.
    """
    data = _splits(preset)
    reward = _finished(preset, session)
    wanted = STAGES if preset.stage == "all" else (preset.stage,)
    for stage in wanted:
        if reward is not None and stage in reward.about.get("stages", ()):
            session.watch(stage).message(f"{stage}: finished before, skipped.")
        else:
            reward = STAGE_FUNCTIONS[stage](preset, session, data, reward)
    assert reward is not None
    return reward


def train_semantic(
    preset: TrainRewardPreset, session: Session, data: "Splits", reward: MotionReward | None
) -> MotionReward:
    """Stage 1, from new weights."""
    seed_everything(preset.seed)
    reward = new_reward(preset, data.train).to(session.device)
    progress = session.watch("semantic")
    with _stage_folder("semantic", preset, session, data) as folder:
        for split in (data.train, data.validation):
            warm_text_cache(reward, split)
        trainer = SemanticTrainer(
            reward, data.train, data.validation, preset.semantic, preset.seed, session.precision
        )
        train(
            trainer,
            folder,
            updates=preset.semantic.updates,
            time_limit=preset.time_limit,
            checkpoint_every=preset.checkpoint_every,
            progress=progress,
        )
    reward.eval().requires_grad_(False)
    reward.about = {
        "stages": ["semantic"],
        "data": data.train.folder.name,
        "licence": data.train.properties.get("licence"),
        "fps": data.train.fps,
        "seed": preset.seed,
        "recall": validate(reward, data.validation),
    }
    finish_stage(reward, preset, session, data)
    return reward


def new_reward(preset: TrainRewardPreset, data: MotionDataset) -> MotionReward:
    """An untrained reward with the data set's statistics."""
    encoder = load_text_encoder(preset.text)
    size = preset.model.resolved(encoder.width)
    missing = [name for name in size.representations if name not in data.representations]
    if missing:
        there = ", ".join(data.representations)
        raise UserError(
            f"{data.folder}: has no {missing[0]} motions. Complete the folder with "
            f"`motionrft convert --dataset`, or leave it out: --set 'model.representations=[{there}]'"
        )
    statistics = {name: data.statistics(name) for name in size.representations}
    return MotionReward(
        MotionRewardNetwork(size), statistics, encoder, representation=size.representations[0]
    )


def finish_stage(reward: MotionReward, preset: TrainRewardPreset, session: Session, data: "Splits") -> None:
    """Write OUT/reward with its card, and where training scores lie."""
    reward.about["quantiles"] = training_quantiles(reward, data.train)
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
        "Validation split, recall in per cent among 32 candidates (text finds motion):",
        "",
        "| representation | protocol | R@1 | R@2 | R@3 | R@5 | R@10 |",
        "|---|---|---|---|---|---|---|",
    ]
    for representation, protocols in about.get("recall", {}).items():
        for protocol, values in protocols.items():
            numbers = " | ".join(f"{values[f't2m/R{k}']:.1f}" for k in (1, 2, 3, 5, 10))
            lines.append(f"| {representation} | {protocol} | {numbers} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Splits:
    """The data set's training and validation splits. Nothing here ever opens the test split."""

    train: MotionDataset
    validation: MotionDataset


def _splits(preset: TrainRewardPreset) -> Splits:
    if preset.data is None:
        raise UserError("which data? Give --data DIR, a folder in HumanML3D's layout.")
    frames = (preset.min_frames, preset.max_frames)
    return Splits(MotionDataset(preset.data, "train", *frames), MotionDataset(preset.data, "val", *frames))


def _finished(preset: TrainRewardPreset, session: Session) -> MotionReward | None:
    """The reward that later stages build on: OUT/reward of an earlier session, or the preset's base."""
    folder = session.out / REWARD
    if folder.is_dir() and not session.overwrite:
        return load_motionreward(folder, device=session.device)
    if preset.base is not None:
        return load_motionreward(preset.base, device=session.device)
    return None


def _stage_folder(stage: str, preset: TrainRewardPreset, session: Session, data: Splits) -> RunFolder:
    """The stage's run folder; what other stages are told does not count as a change."""
    fields = preset.result_fields()
    shared = ("seed", "precision", "text", "model", "weights", "min_frames", "max_frames")
    settings = {name: fields[name] for name in (*shared, stage)}
    return open_stage(
        session.out,
        stage,
        preset.to_yaml(),
        settings,
        environment(session.device),
        resume=session.resume,
        overwrite=session.overwrite,
        allow_changed=session.allow_changed,
        identity={"data": data.train.identity},
    )


STAGE_FUNCTIONS: dict[str, Callable[..., MotionReward]] = {"semantic": train_semantic}
