"""`refine-spl` as a function: before, the run, after, and the refined reward in OUT/reward."""

from dataclasses import dataclass

from motionrft.reward.folder import load_motionreward, save_reward
from motionrft.reward.held_out import add_references
from motionrft.reward.loading import reward_folder
from motionrft.reward.motionreward.reward_session import REWARD, RewardSession, open_splits
from motionrft.reward.motionreward.semantic import validate, warm_text_cache
from motionrft.reward.spl.refinement import Refiner
from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft.training.environment import environment
from motionrft.training.fingerprints import folder_hash
from motionrft.training.loop import train
from motionrft.training.run import RunFolder
from motionrft.training.seeds import seed_everything

Recalls = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Refined:
    """Recalls on the validation split before and after: representation, protocol, name."""

    before: Recalls
    after: Recalls

    def change(self, representation: str, protocol: str, name: str) -> float:
        """Points gained."""
        return self.after[representation][protocol][name] - self.before[representation][protocol][name]


def refine(preset: RefineSplPreset, session: RewardSession) -> Refined:
    """Refine a reward on its own failed retrievals; the result lies in OUT/reward.

    Adapters of preference and authenticity belong to the tower they were trained on, so they are left out.

    Raises:
        UserError: no data or no reward.
        Interrupted: a signal; what is saved can be resumed.
    """
    splits = open_splits(preset.data, preset.min_frames, preset.max_frames)
    data, validation = splits.train, splits.validation
    source = reward_folder(preset.reward)
    reward = load_motionreward(source, device=session.device)
    progress = session.watch("refining")
    if reward.critics:
        progress.message(
            f"{', '.join(reward.critics)} belong to the unrefined tower and are left out; train them again."
        )
        reward.critics.clear()
        reward.weigh({"semantic": 1.0})
    with RunFolder.open(
        session.out,
        preset.result_fields(),
        environment(session.device),
        resume=session.resume,
        overwrite=session.overwrite,
        allow_changed=session.allow_changed,
        identity={"data": data.identity, "reward": folder_hash(source)},
    ) as folder:
        seed_everything(preset.seed)
        for split in (data, validation):
            warm_text_cache(reward, split)
        before = validate(reward, validation)
        train(
            Refiner(reward, data, preset, session.precision),
            folder,
            updates=preset.updates,
            time_limit=preset.time_limit,
            checkpoint_every=preset.checkpoint_every,
            progress=progress,
        )
        reward.eval().requires_grad_(False)
        after = validate(reward, validation)
        reward.about |= {
            "stages": ["semantic"],
            "refined": preset.variant,
            "recall_before": before,
            "recall": after,
        }
        add_references(reward, data, validation)
        save_reward(session.out / REWARD, reward, _card(reward.about, preset), preset.weights)
    return Refined(before, after)


def _card(about: dict, preset: RefineSplPreset) -> str:
    rows = [
        f"| {representation} | {protocol} | {before['t2m/R3']:.1f} | {after['t2m/R3']:.1f} |"
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
