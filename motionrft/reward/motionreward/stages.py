"""Stages 2 and 3 as runs: their data, the loop, the report on the validation split, the reward written."""

from pathlib import Path

from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.generators import read_generator
from motionrft.generators.base import Generator
from motionrft.representations.names import guess_representation
from motionrft.reward.motionreward.adapters import Critic
from motionrft.reward.motionreward.clips import Clip, Pair
from motionrft.reward.motionreward.critic_training import (
    AuthenticityTrainer,
    PreferenceTrainer,
    authenticity_report,
    preference_report,
)
from motionrft.reward.motionreward.fakes import (
    Labelled,
    length_baseline,
    matched,
    published_fakes,
    read_fakes,
    sampled_fakes,
)
from motionrft.reward.motionreward.motionreward import CRITIC_OUTPUTS, MotionReward
from motionrft.reward.motionreward.pairs import perturbed_pairs, published_pairs, read_pairs
from motionrft.reward.motionreward.preset import (
    AuthenticityPart,
    CriticPart,
    PreferencePart,
    TrainRewardPreset,
)
from motionrft.reward.motionreward.reward_session import RewardSession, Splits, finish_stage, stage_folder
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES
from motionrft.training.loop import train
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything
from motionrft.training.weights import CONFIG

_VALIDATION_SEED = 1_000_003
"""Added to the seed for validation material: its faults and its noise were never trained on."""


def train_preference(
    preset: TrainRewardPreset, session: RewardSession, data: Splits, reward: MotionReward
) -> None:
    """Stage 2: a preference critic, added to the reward."""
    part, names = preset.preference, _critic_representations(reward, data.train)
    seed_everything(preset.seed)
    with stage_folder("preference", preset, session, data) as folder:
        session.watch("preference").message("preference: preparing pairs")
        pairs = _training_pairs(part, data.train, names, preset.seed, session)
        kinds = [*part.kinds, *(kind for kind in part.held_out if kind not in part.kinds)]
        seen = perturbed_pairs(data.validation, part.validation, kinds, names, preset.seed + _VALIDATION_SEED)
        critic = _new_critic("preference", reward, part)
        trainer = PreferenceTrainer(reward, critic, pairs, part, preset.seed)
        _run(trainer, folder, part, preset, session, "preference")
        reward.about["preference"] = preference_report(reward, critic, seen)
        reward.about["preference_held_out"] = list(part.held_out)
        _finish("preference", critic, reward, preset, session, data)


def train_authenticity(
    preset: TrainRewardPreset, session: RewardSession, data: Splits, reward: MotionReward
) -> None:
    """Stage 3: an authenticity critic, added to the reward."""
    part, names = preset.authenticity, _critic_representations(reward, data.train)
    seed_everything(preset.seed)
    with stage_folder("authenticity", preset, session, data) as folder:
        session.watch("authenticity").message("authenticity: preparing generated clips")
        clips, seen = _real_and_generated(part, data, names, preset.seed, session)
        critic = _new_critic("authenticity", reward, part)
        trainer = AuthenticityTrainer(reward, critic, clips, part, preset.seed)
        _run(trainer, folder, part, preset, session, "authenticity")
        report = authenticity_report(reward, critic, seen)
        for name, values in report.items():
            values["length_only"] = length_baseline(clips, seen, name)
        reward.about["authenticity"] = report
        _finish("authenticity", critic, reward, preset, session, data)


def _critic_representations(reward: MotionReward, data: MotionDataset) -> tuple[str, ...]:
    """Those of the reward that the data set has; joints must be there, since faults are put into joints."""
    return tuple(name for name in reward.network.size.representations if name in data.representations)


def _training_pairs(
    part: PreferencePart, data: MotionDataset, names: tuple[str, ...], seed: int, session: RewardSession
) -> list[Pair]:
    if part.pairs is None:
        kinds = [kind for kind in part.kinds if kind not in part.held_out]
        if not kinds:
            raise UserError("preference.held_out leaves no kind of fault to train on")
        return perturbed_pairs(data, part.count, kinds, names, seed)
    path = Path(part.pairs)
    if path.suffix == ".jsonl":
        return read_pairs(path, names)
    content = session.open_pickle(path)
    pairs = published_pairs(content, path, "?")
    width = next(iter(pairs[0].better.values())).shape
    name = guess_representation(tuple(width))
    if name not in names:
        raise UserError(f"{path}: pairs {tuple(width)} are of no representation this reward judges")
    return published_pairs(content, path, name)


def _real_and_generated(
    part: AuthenticityPart, data: Splits, names: tuple[str, ...], seed: int, session: RewardSession
) -> tuple[list[Labelled], list[Labelled]]:
    """Training and validation clips, real and generated, clip by clip of equal length."""
    place = Path(part.fakes)
    if part.fakes == "builtin" or (place / CONFIG).is_file():
        generator = _generator(part.fakes).to(session.device)
        fakes = [
            sampled_fakes(generator, split, count, names, its_seed, part.steps, part.guidance)
            for split, count, its_seed in (
                (data.train, part.count, seed),
                (data.validation, part.validation, seed + _VALIDATION_SEED),
            )
        ]
    elif place.suffix == ".pth":
        content = session.open_pickle(place)
        held = [name for name in names if OFFICIAL_NAMES[name] in content]
        found = [
            clip for name in held for clip in published_fakes(content, place, name, OFFICIAL_NAMES[name])
        ]
        fakes = _divided(found, place)
    else:
        fakes = _divided(read_fakes(place, names), place)
    return matched(data.train, fakes[0], seed), matched(data.validation, fakes[1], seed + _VALIDATION_SEED)


def _generator(name: str) -> Generator:
    from motionrft.builtin import resolve

    return read_generator(resolve(name, "generator"))


def _divided(clips: list[Clip], path: Path) -> list[list[Clip]]:
    """Four fifths to train on, every fifth to look at."""
    if len(clips) < 10:
        raise UserError(f"{path}: {len(clips)} generated clips are too few; at least 10 are needed")
    return [
        [clip for number, clip in enumerate(clips) if number % 5],
        [clip for number, clip in enumerate(clips) if number % 5 == 0],
    ]


def _new_critic(name: str, reward: MotionReward, part: CriticPart) -> Critic:
    device = next(reward.network.parameters()).device
    return Critic(reward.network.motion, CRITIC_OUTPUTS[name], part.rank, part.alpha).to(device)


def _run(
    trainer: PreferenceTrainer | AuthenticityTrainer,
    folder: RunFolder,
    part: CriticPart,
    preset: TrainRewardPreset,
    session: RewardSession,
    name: str,
) -> None:
    train(
        trainer,
        folder,
        updates=part.updates,
        time_limit=preset.time_limit,
        checkpoint_every=preset.checkpoint_every,
        progress=session.watch(name),
    )


def _finish(
    stage: str,
    critic: Critic,
    reward: MotionReward,
    preset: TrainRewardPreset,
    session: RewardSession,
    data: Splits,
) -> None:
    reward.critics[stage] = critic
    finish_stage(stage, reward, preset, session, data)
