"""Stages 2 and 3 as runs: their data, the loop, the report on the validation split, the reward written."""

from pathlib import Path

from motionrft import builtin
from motionrft.data import MotionDataset
from motionrft.errors import UserError
from motionrft.generators.text_to_motion import TextToMotion
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
from motionrft.training.timed import timed
from motionrft.training.weights import CONFIG

SYNTHETIC = "synthetic faults in real motion, judged by nobody"
"""What pairs are called that no person has compared."""
_CHECKPOINTS = (".ckpt", ".pt", ".tar")
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
        pairs, seen = _preference_pairs(part, data, names, preset.seed, session)
        critic = _new_critic("preference", reward, part)
        trainer = PreferenceTrainer(reward, critic, pairs, part, preset.seed, session.company)
        _run(trainer, folder, part, preset, session, "preference")
        reward.about["preference"] = preference_report(reward, critic, seen)
        reward.about["preference_held_out"] = list(part.held_out) if part.pairs is None else []
        reward.about["preference_pairs"] = SYNTHETIC if part.pairs is None else Path(part.pairs).name
        _finish("preference", critic, reward, preset, session, data)


def train_authenticity(
    preset: TrainRewardPreset, session: RewardSession, data: Splits, reward: MotionReward
) -> None:
    """Stage 3: an authenticity critic, added to the reward."""
    part, names = preset.authenticity, _critic_representations(reward, data.train)
    part = part.model_copy(update={"fakes": part.fakes or (builtin.NAME,)})
    seed_everything(preset.seed)
    with stage_folder("authenticity", preset, session, data) as folder:
        session.watch("authenticity").message("authenticity: preparing generated clips")
        clips, seen = _real_and_generated(part, data, names, preset.seed, session)
        critic = _new_critic("authenticity", reward, part)
        trainer = AuthenticityTrainer(reward, critic, clips, part, preset.seed, session.company)
        _run(trainer, folder, part, preset, session, "authenticity")
        report = authenticity_report(reward, critic, seen)
        for name, values in report.items():
            values["length_only"] = length_baseline(clips, seen, name)
        reward.about["authenticity"] = report
        reward.about["authenticity_fakes"] = list(part.fakes or ())
        _finish("authenticity", critic, reward, preset, session, data)


def _critic_representations(reward: MotionReward, data: MotionDataset) -> tuple[str, ...]:
    """Those of the reward that the data set has; joints must be there, since faults are put into joints."""
    return tuple(name for name in reward.network.size.representations if name in data.representations)


def _preference_pairs(
    part: PreferencePart, data: Splits, names: tuple[str, ...], seed: int, session: RewardSession
) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to look at, of the same origin: synthetic, or given by people.

    Given pairs bring a validation file of their own (`critic_val_263.pth` beside `critic_train_263.pth`), or every fifth
    of them is kept.
    """
    if part.pairs is None:
        kinds = [kind for kind in part.kinds if kind not in part.held_out]
        if not kinds:
            raise UserError("preference.held_out leaves no kind of fault to train on")
        every = [*part.kinds, *(kind for kind in part.held_out if kind not in part.kinds)]
        return (
            perturbed_pairs(data.train, part.count, kinds, names, seed),
            perturbed_pairs(data.validation, part.validation, every, names, seed + _VALIDATION_SEED),
        )
    path, fps = Path(part.pairs), data.train.fps
    beside = path.with_name(path.name.replace("train", "val"))
    if beside != path and beside.is_file():
        return _given_pairs(path, names, session, fps), _given_pairs(beside, names, session, fps)
    pairs = _given_pairs(path, names, session, fps)
    if len(pairs) < 5:
        raise UserError(f"{path}: {len(pairs)} pairs; at least 5 are needed, of which one is looked at.")
    session.say(f"{path} has no {beside.name} beside it: every fifth pair is kept for validation.")
    return [pair for n, pair in enumerate(pairs) if n % 5], pairs[::5]


def _given_pairs(path: Path, names: tuple[str, ...], session: RewardSession, fps: float) -> list[Pair]:
    if path.suffix == ".jsonl":
        return read_pairs(path, names, fps=fps)
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
    assert part.fakes is not None
    fakes: tuple[list[Clip], list[Clip]] = ([], [])
    for place in part.fakes:
        for clips, own in zip(fakes, _fakes_of(place, part, data, names, seed, session), strict=True):
            clips += own
    return matched(data.train, fakes[0], seed), matched(data.validation, fakes[1], seed + _VALIDATION_SEED)


def _fakes_of(
    place: str,
    part: AuthenticityPart,
    data: Splits,
    names: tuple[str, ...],
    seed: int,
    session: RewardSession,
) -> list[list[Clip]]:
    """Generated clips of one source, to train on and to look at."""
    path, sources = Path(place), len(part.fakes or ())
    if path.suffix == ".pth":
        content = session.open_pickle(path)
        held = [name for name in names if OFFICIAL_NAMES[name] in content]
        found = [clip for name in held for clip in published_fakes(content, path, name, OFFICIAL_NAMES[name])]
        return _divided(found, path)
    if place not in builtin.GENERATORS and path.is_dir() and not holds_model(path):
        return _divided(read_fakes(path, names, fps=data.train.fps), path)
    generator = session.open_generator(place).to(session.device)
    _check_fits(generator, place, data.train)
    shares = (
        (data.train, part.count, seed),
        (data.validation, part.validation, seed + _VALIDATION_SEED),
    )
    return [
        sampled_fakes(generator, split, -(-count // sources), names, its_seed, part.steps, part.guidance)
        for split, count, its_seed in shares
    ]


def holds_model(folder: Path) -> bool:
    """Whether a folder is a model of ours, or holds one checkpoint file among no motions."""
    return (folder / CONFIG).is_file() or any(file.suffix in _CHECKPOINTS for file in folder.iterdir())


def _check_fits(generator: TextToMotion, place: str, data: MotionDataset) -> None:
    """Raise `UserError` where a generator makes another skeleton than the data's."""
    width = len(generator.mean)
    if generator.representation == "kinematic" and width != data.skeleton.features:
        raise UserError(
            f"authenticity.fakes: {place} makes {width} features, but {data.folder} has {data.skeleton.features}. "
            "Name a generator of this data: --set authenticity.fakes=CHECKPOINT"
        )


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
    folder: RunFolder | None,
    part: CriticPart,
    preset: TrainRewardPreset,
    session: RewardSession,
    name: str,
) -> None:
    session.company.own_chance(preset.seed)
    train(
        timed(trainer, preset.time_limit, part.updates),
        folder,
        updates=part.updates,
        time_limit=preset.time_limit,
        checkpoint_every=preset.checkpoint_every,
        progress=session.watch(name),
        distribution=session.company,
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
