"""refine-spl: a reward learns from its own failed retrievals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionrft.reward.spl.spl_preset import RefineSplPreset
from motionrft_cli.dry_run import measure_cost
from motionrft_cli.options import Call, command, sets
from motionrft_cli.resuming import AllowChanged
from motionrft_cli.training_progress import LoopProgress

if TYPE_CHECKING:
    from motionrft.reward.spl.refining import Refined


@command(
    RefineSplPreset,
    "motionrft refine-spl --reward runs/reward/reward --data HumanML3D --out spl",
    "motionrft refine-spl --reward builtin --data data/mine --top-k 5 --dry-run",
)
def refine_spl(
    call: Call[RefineSplPreset],
    reward: Annotated[str | None, sets("reward")] = None,
    data: Annotated[str | None, sets("data")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k"), sets("top_k")] = None,
    variant: Annotated[str | None, sets("variant")] = None,
    updates: Annotated[int | None, sets("updates")] = None,
    allow_changed: AllowChanged = None,
) -> int:
    """Refine a reward by self-refinement preference learning (SPL).

    Wrong answers come from the whole training set; recalls before and after are those of the validation split.
    """
    from motionrft.loading import opened_reward
    from motionrft.reward.motionreward.reward_session import REWARD, RewardSession
    from motionrft.reward.spl.refining import refine

    if call.dry_run:
        return measure_cost(
            call,
            lambda folder, progress: refine(
                call.preset,
                RewardSession(
                    folder, call.device(), call.dtype(), progress, dry_run=True, open_reward=opened_reward
                ),
            ),
        )
    from motionrft.training.distribution import Distribution

    with Distribution.join(call.device()) as company:
        company.first(call.output_folder)
        out = call.output_folder()
        session = RewardSession(
            out,
            company.device or call.device(),
            call.dtype(),
            lambda stage: LoopProgress(call.console, stage),
            call.resume,
            call.overwrite,
            tuple(allow_changed or ()),
            open_reward=opened_reward,
            company=company,
        )
        refined = refine(call.preset, session)
    _show(call, refined, out / REWARD)
    return 0


def _show(call: Call[RefineSplPreset], result: "Refined", reward: Path) -> None:
    """Recalls before and after, what they mean, and where the new reward is."""
    from motionrft.reward.retrieval import protocol_in_words

    rows, gains = [], []
    for representation, protocols in result.before.items():
        for protocol, before in protocols.items():
            after = result.after[representation][protocol]
            cells = [f"{before[f't2m/R{k}']:.1f} → {after[f't2m/R{k}']:.1f}" for k in (1, 3, 5, 10)]
            rows.append([representation, protocol_in_words(protocol, after), *cells])
            gains.append(result.change(representation, protocol, "t2m/R3"))
    columns = ["representation", "protocol", "R@1", "R@3", "R@5", "R@10"]
    call.console.table(
        "validation split: text finds motion among 32, before → after, per cent", columns, rows
    )
    mean = sum(gains) / len(gains)
    call.console.info(
        f"R@3 rose by {mean:.2f} points on average."
        if mean > 0
        else f"R@3 did not rise ({mean:+.2f} points)."
    )
    if result.failed == 0:
        call.console.warn(
            "No retrieval failed: every caption of the training split finds its own motion among the "
            f"{call.preset.top_k} best. There was nothing to refine; only the anchor was trained on. "
            "A smaller --top-k asks for more."
        )
    if result.gallery:
        call.console.info(f"Failed retrievals to look at: {result.gallery[0].parent}")
    call.console.emit(
        {
            "reward": str(reward),
            "before": result.before,
            "after": result.after,
            "failed_retrievals": result.failed,
            "gallery": [str(file) for file in result.gallery],
        }
    )
    call.console.info(f"Next: motionrft score motions/ --reward {reward}")
