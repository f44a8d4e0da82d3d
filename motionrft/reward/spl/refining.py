"""`refine-spl` as a function: before, the run, after, and the refined reward in OUT/reward."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from motionrft.data import MotionDataset
from motionrft.reward.folder import save_reward
from motionrft.reward.held_out import add_references
from motionrft.reward.motionreward.motionreward import MotionReward
from motionrft.reward.motionreward.reward_session import REWARD, RewardSession, Splits, open_splits
from motionrft.reward.motionreward.semantic import validate, warm_text_cache
from motionrft.reward.retrieval import protocol_in_words
from motionrft.reward.spl.gallery import draw_failures
from motionrft.reward.spl.mining import Failures, mine_failures
from motionrft.reward.spl.refinement import Refiner
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.text.stand_in import StandInText
from motionrft.training.environment import environment
from motionrft.training.loop import train
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything

Recalls = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Refined:
    """Recalls on the validation split before and after: representation, protocol, name.

    failed: retrievals that failed in the training set over all looks; None where nothing was mined (`official`).
    gallery: pictures of some of them.
    """

    before: Recalls
    after: Recalls
    failed: int | None = None
    gallery: list[Path] = field(default_factory=list)

    def change(self, representation: str, protocol: str, name: str) -> float:
        """Points gained."""
        return self.after[representation][protocol][name] - self.before[representation][protocol][name]


def refine(preset: RefineSplPreset, session: RewardSession) -> Refined:
    """Refine a reward on its own failed retrievals; the result lies in OUT/reward.

    Critics of preference and authenticity are adapters of the motion tower they were trained on: they stay on it as it
    was, and answer after the refinement exactly as before.

    Raises:
        UserError: no data or no reward.
        Interrupted: a signal; what is saved can be resumed.
    """
    splits = open_splits(preset.data, preset.min_frames, preset.max_frames)
    data, validation = splits.train, splits.validation
    reward, identity = session.motionreward(preset.reward, preset.reward_rank, preset.data)
    reward.keep_critic_tower()
    progress = session.watch("refining")
    with _opened(preset, session, splits, identity) as folder:
        seed_everything(preset.seed)
        if session.dry_run:
            reward.text_encoder = StandInText(reward.text_encoder)
            train(
                _rehearsal(reward, data, preset, session), folder, updates=preset.updates, progress=progress
            )
        for split in (data, validation):
            warm_text_cache(reward, split)
        before = validate(reward, validation)
        first = _first_look(reward, data, preset, session) if preset.variant != "official" else None
        pictures = session.company.first(lambda: _draw(reward, data, preset, session, first)) or []
        session.company.own_chance(preset.seed)
        refiner = Refiner(reward, data, preset, session.precision, first, session.company)
        train(
            refiner,
            folder,
            updates=preset.updates,
            time_limit=preset.time_limit,
            checkpoint_every=preset.checkpoint_every,
            progress=progress,
            distribution=session.company,
        )
        reward.eval().requires_grad_(False)
        after = validate(reward, validation)
        reward.about |= {
            "refined": preset.variant,
            "failed_retrievals": refiner.found,
            "recall_before": before,
            "recall": after,
        }
        add_references(reward, data, validation)
        card = _card(reward.about, preset)
        session.company.first(lambda: save_reward(session.out / REWARD, reward, card, preset.weights))
    return Refined(before, after, None if preset.variant == "official" else refiner.found, pictures)


def _rehearsal(
    reward: MotionReward, data: MotionDataset, preset: RefineSplPreset, session: RewardSession
) -> Refiner:
    """A refiner with failures made up: an update's cost is measured, and nothing is embedded to find real ones."""
    rows = torch.arange(min(preset.batch, len(data)))
    made_up = Failures(rows, rows.roll(1), torch.zeros_like(rows), 1.0)
    return Refiner(reward, data, preset, session.precision, made_up)


def _opened(
    preset: RefineSplPreset, session: RewardSession, data: Splits, reward: str
) -> AbstractContextManager[RunFolder | None]:
    """The run folder, in the first process."""
    opened = session.company.first(
        lambda: RunFolder.open(
            session.out,
            preset.result_fields(),
            environment(session.device),
            resume=session.resume,
            overwrite=session.overwrite,
            allow_changed=session.allow_changed,
            complete=lambda values: RefineSplPreset.of(values).result_fields(),
            identity={**data.identity, "reward": reward},
        )
    )
    return opened or nullcontext()


def _first_look(
    reward: MotionReward, data: MotionDataset, preset: RefineSplPreset, session: RewardSession
) -> Failures:
    names = reward.network.size.representations
    return mine_failures(reward, data, names[0], preset, company=session.company)


def _draw(
    reward: MotionReward,
    data: MotionDataset,
    preset: RefineSplPreset,
    session: RewardSession,
    failures: Failures | None,
) -> list[Path]:
    """The gallery: failed retrievals of the unrefined reward."""
    if failures is None or session.resume:
        return []
    name = reward.network.size.representations[0]
    return draw_failures(session.out, data, name, failures, preset.gallery)


def _card(about: dict, preset: RefineSplPreset) -> str:
    rows = [
        f"| {representation} | {protocol_in_words(protocol, after)} | {before['t2m/R3']:.1f} | {after['t2m/R3']:.1f} |"
        for representation, protocols in about["recall"].items()
        for protocol, after in protocols.items()
        for before in [about["recall_before"][representation][protocol]]
    ]
    return "\n".join(
        [
            "# MotionReward, refined on its own mistakes",
            "",
            f"Data: {about.get('data')} (training split only). Licence: {about.get('licence') or 'that of the data'}.",
            "Command: `motionrft refine-spl` with this preset:",
            "",
            "```yaml",
            preset.to_yaml().rstrip(),
            "```",
            "",
            "R@3 on the validation split, per cent, before and after:",
            "",
            "| representation | protocol | before | after |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
