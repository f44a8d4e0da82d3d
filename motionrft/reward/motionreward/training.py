"""`train-reward` as a function: the stages in order, each resumable, the reward written after each."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from motionrft.data import MotionDataset, pad
from motionrft.errors import UserError
from motionrft.lengths import length_mask
from motionrft.representations.statistics import Statistics
from motionrft.representations.windows import seen_from_windows
from motionrft.reward.folder import load_motionreward
from motionrft.reward.motionreward.encoder import MotionRewardNetwork
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft.reward.motionreward.reward_session import (
    REWARD,
    STAGES,
    RewardSession,
    Splits,
    finish_stage,
    open_splits,
    stage_folder,
)
from motionrft.reward.motionreward.semantic import SemanticTrainer, validate, warm_text_cache
from motionrft.reward.motionreward.sizes import OFFICIAL_NAMES
from motionrft.reward.motionreward.stages import train_authenticity, train_preference
from motionrft.reward.resampled import SAME_RATE
from motionrft.skeleton import SMPL22
from motionrft.text.loading import load_text_encoder
from motionrft.text.stand_in import StandInText
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.loop import train
from motionrft.training.seeds import seed_everything
from motionrft.training.timed import timed

_CLIPS_AT_ONCE = 32


def train_reward(preset: TrainRewardPreset, session: RewardSession) -> MotionReward:
    """Train the stages that the preset asks for and that OUT/reward does not have yet.

    Returns:
        The reward as it lies in OUT/reward, in eval mode.

    Raises:
        UserError: no data, or a stage whose forerunner is missing.
        Interrupted: a signal; what is saved can be resumed.
    """
    data = open_splits(preset.data, preset.min_frames, preset.max_frames)
    stages = _stages(preset, data.train, session)
    reward = _finished(preset, session)
    session.company.gather(None)  # nobody writes before all have read
    for stage in stages:
        if reward is not None and stage in reward.about.get("stages", ()) and not session.overwrite:
            session.watch(stage).message(f"{stage}: finished before, skipped.")
        elif stage == "semantic":
            reward = train_semantic(preset, session, data)
        elif reward is None:
            raise UserError(
                f"{stage} is trained on a finished first stage, and {session.out / REWARD} has none. Train "
                "--stage semantic (or all) there first, or name a reward with --base DIR."
            )
        else:
            LATER_STAGES[stage](preset, session, data, reward)
    assert reward is not None
    return reward


def _stages(preset: TrainRewardPreset, data: MotionDataset, session: RewardSession) -> tuple[str, ...]:
    """The stages that can be trained on this data; what is left out or stood in for is said.

    Raises:
        UserError: the only stage asked for lacks its material.
    """
    stages = STAGES if preset.stage == "all" else (preset.stage,)
    if "authenticity" not in stages or preset.authenticity.fakes is not None:
        return stages
    if data.skeleton is SMPL22:
        session.say(
            "authenticity: no generated motions are named, so the built-in generator's serve, which was trained on "
            "other motions than yours. Name those of your own: --set authenticity.fakes=CHECKPOINT,…"
        )
        return stages
    message = (
        f"authenticity: the built-in generator does not make {data.folder}'s {data.skeleton.features} features. Name "
        "generators that do: --set authenticity.fakes=CHECKPOINT,…"
    )
    if preset.stage != "all":
        raise UserError(message)
    session.say(f"{message} The stage is left out.")
    return tuple(stage for stage in stages if stage != "authenticity")


def train_semantic(preset: TrainRewardPreset, session: RewardSession, data: Splits) -> MotionReward:
    """Stage 1, from new weights, or from those of `preset.base` where this stage alone is asked for.

    Critics of a base answer on as before: they keep the tower that they were trained on.
    """
    seed_everything(preset.seed)
    lacking = [name for name in OFFICIAL_NAMES if name not in data.train.representations]
    if lacking and preset.model.representations is None:
        session.say(
            f"{data.train.folder} has no {' and no '.join(lacking)} motions: the reward will not judge them."
        )
    identity, kept = None, {}
    if preset.stage == "semantic" and preset.base is not None:
        reward, identity = session.motionreward(preset.base, preset.base_rank, preset.data)
        session.say(
            f"{preset.base} is trained further: its network and its text encoder stay, `model` and `text` do not count."
        )
        _check_base(reward, preset, data.train)
        reward.keep_critic_tower()
        kept = {name: value for name, value in reward.about.items() if name != "refined"}
    else:
        reward = new_reward(preset, data.train, session.company).to(session.device)
    begun = None if identity is None else {"base": identity}
    with stage_folder("semantic", preset, session, data, begun) as folder:
        if session.dry_run:
            reward.text_encoder = StandInText(reward.text_encoder)
        else:
            warm_text_cache(reward, data.train, preset.semantic.mirror)
            warm_text_cache(reward, data.validation)
        session.company.own_chance(preset.seed)
        trainer = SemanticTrainer(
            reward,
            data.train,
            data.validation,
            preset.semantic,
            preset.seed,
            session.precision,
            session.company,
        )
        train(
            timed(trainer, preset.time_limit, preset.semantic.updates),
            folder,
            updates=preset.semantic.updates,
            time_limit=preset.time_limit,
            checkpoint_every=preset.checkpoint_every,
            progress=session.watch("semantic"),
            distribution=session.company,
        )
        noise = preset.semantic.noise
        if preset.semantic.only is None:  # otherwise towers are as they were, and know what they knew
            reward.noise_steps = noise.max_t if noise.probability else None
        reward.about = {
            **kept,
            "data": data.train.folder.name,
            "licence": data.train.properties.get("licence"),
            "fps": data.train.fps,
            "seed": preset.seed,
            "recall": validate(reward, data.validation, session.company),
        }
        finish_stage("semantic", reward, preset, session, data)
    return reward


def _check_base(reward: MotionReward, preset: TrainRewardPreset, data: MotionDataset) -> None:
    """Refuse a base that cannot be trained on this data: other representations, skeleton or frame rate.

    Raises:
        UserError: as said.
    """
    size, learnt = reward.network.size, reward.about.get("fps")
    if lacking := sorted({*(preset.semantic.only or ())} - {*size.representations}):
        raise UserError(
            f"{preset.base}: judges no {' and no '.join(lacking)}; semantic.only cannot train them."
        )
    for name in size.representations:
        if name not in data.representations:
            raise UserError(
                f"{preset.base} judges {name} too, and {data.folder} has no such motions. Complete the folder: "
                f"motionrft convert {data.folder} --dataset."
            )
        if (width := data.width(name)) != size.feature_width(name):
            raise UserError(
                f"{preset.base} judges {name} motions of {size.feature_width(name)} values a frame, and {data.folder} "
                f"has {width} (263 is HumanML3D, 251 KIT-ML)."
            )
    if learnt and abs(learnt - data.fps) > SAME_RATE:
        raise UserError(
            f"{preset.base} learnt motions at {learnt:g} frames a second, and {data.folder} is at {data.fps:g}. Build "
            f"the data set with --fps {learnt:g}, or train a reward of its own."
        )


def new_reward(preset: TrainRewardPreset, data: MotionDataset, company: Distribution = ALONE) -> MotionReward:
    """An untrained reward of the data set's widths, with its statistics; the first of a company looks for them."""
    encoder = load_text_encoder(preset.text)
    missing = [name for name in preset.model.representations or () if name not in data.representations]
    if missing:
        there = ", ".join(data.representations)
        raise UserError(
            f"{data.folder}: has no {missing[0]} motions. Complete the folder with "
            f"`motionrft convert --dataset`, or leave it out: --set 'model.representations=[{there}]'"
        )
    size = preset.model.resolved(encoder.width, {name: data.width(name) for name in data.representations})

    def found() -> dict[str, Statistics]:
        return {name: _statistics(data, name, size.window(name)) for name in size.representations}

    statistics = company.first(found) or found()  # where it was not the first to look, they are kept by then
    return MotionReward(
        MotionRewardNetwork(size), statistics, encoder, representation=size.representations[0]
    )


def _statistics(data: MotionDataset, representation: str, window: int | None) -> Statistics:
    """The data set's own, or those of what is seen from the body."""
    if window is None:
        return data.statistics(representation)
    frames = _seen(data, representation, window)
    what = f"{representation} seen from windows of {window} frames"
    return data.kept_statistics(what, lambda: Statistics.of_clips(frames, representation))


def _seen(data: MotionDataset, representation: str, window: int) -> Iterator[Tensor]:
    """The frames of many clips at a time, (frames, J, 3): of one, calls cost several times what they compute."""
    for items in torch.arange(len(data)).split(_CLIPS_AT_ONCE):
        motion, lengths = pad(
            [data.read(item, representation) for item in items.tolist()]
        )  # (B, T, 3 J), (B,)
        seen = seen_from_windows(motion.unflatten(-1, (-1, 3)), window)  # (B, T, J, 3)
        yield seen[length_mask(lengths, motion.shape[1])]


def _finished(preset: TrainRewardPreset, session: RewardSession) -> MotionReward | None:
    """The reward that later stages build on: OUT/reward of an earlier session, or the preset's base.

    The first stage alone begins with the base, which is then no result of it.
    """
    folder = session.out / REWARD
    from_anew = session.overwrite and preset.stage in ("semantic", "all")
    if folder.is_dir() and not from_anew:
        return load_motionreward(folder, device=session.device)
    if preset.base is not None and preset.stage != "semantic":
        return session.motionreward(preset.base, preset.base_rank, preset.data)[0]
    return None


LATER_STAGES: dict[str, Callable[[TrainRewardPreset, RewardSession, Splits, MotionReward], None]] = {
    "preference": train_preference,
    "authenticity": train_authenticity,
}
