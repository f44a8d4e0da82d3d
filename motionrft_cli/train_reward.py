"""train-reward: the reward that judges motions, stage by stage."""

from typing import Annotated, Any

from motionrft.reward.motionreward.preset import TrainRewardPreset
from motionrft_cli.dry_run import measure_cost
from motionrft_cli.following import Log, check_log, followed
from motionrft_cli.options import Call, command, sets
from motionrft_cli.resuming import AllowChanged

SHOWN = ("stages", "recall", "preference", "authenticity")
"""What is known of a reward's making that --json repeats."""


@command(
    TrainRewardPreset,
    "motionrft train-reward --preset mini --data data/mine --out runs/reward",
    "motionrft train-reward --preset evaluator-mini --data data/mine --out judge",
)
def train_reward(
    call: Call[TrainRewardPreset],
    data: Annotated[str | None, sets("data")] = None,
    stage: Annotated[str | None, sets("stage")] = None,
    base: Annotated[str | None, sets("base")] = None,
    time_limit: Annotated[float | None, sets("time_limit")] = None,
    allow_changed: AllowChanged = None,
    log: Log = None,
) -> int:
    """Train a reward that judges motions in three representations.

    Stages: semantic (text and motion in one space), preference and authenticity (adapters on the frozen
    first stage). OUT/reward is the result. The stage evaluator trains a judge for results, OUT/evaluator.
    """
    if log is not None:
        check_log(log, call.dry_run)
    if call.preset.stage == "evaluator":
        return _train_evaluator(call, tuple(allow_changed or ()), log)
    from motionrft.loading import load_generator, opened_reward
    from motionrft.official.pickles import read_pickle
    from motionrft.reward.motionreward.reward_session import REWARD, RewardSession
    from motionrft.reward.motionreward.training import train_reward

    if call.dry_run:
        return measure_cost(
            call,
            lambda folder, progress: train_reward(
                call.preset,
                RewardSession(
                    folder,
                    call.device(),
                    call.dtype(),
                    progress,
                    dry_run=True,
                    open_pickle=read_pickle,
                    open_reward=opened_reward,
                    open_generator=load_generator,
                ),
            ),
        )
    from motionrft.training.distribution import Distribution

    with Distribution.join(call.device()) as company, followed(call, log) as progress:
        company.first(call.output_folder)
        session = RewardSession(
            call.output_folder(),
            company.device or call.device(),
            call.dtype(),
            progress,
            call.resume,
            call.overwrite,
            tuple(allow_changed or ()),
            open_pickle=read_pickle,
            open_reward=opened_reward,
            open_generator=load_generator,
            say=call.console.warn_of_all,
            company=company,
        )
        reward = train_reward(call.preset, session)
    _show(call, reward.about)
    result = session.out / REWARD
    call.console.emit({"reward": str(result), **{name: reward.about.get(name) for name in SHOWN}})
    call.console.info(f"Next: motionrft score motions/ --reward {result}")
    return 0


def _train_evaluator(call: Call[TrainRewardPreset], allow_changed: tuple[str, ...], log: str | None) -> int:
    from motionrft.evaluation.evaluators.run import EVALUATOR, run_evaluator_training

    if call.dry_run:
        return measure_cost(
            call,
            lambda folder, progress: run_evaluator_training(
                call.preset, folder, call.device(), progress(EVALUATOR)
            ),
        )
    from motionrft.training.distribution import Distribution

    with Distribution.join(call.device()) as company, followed(call, log) as progress:
        company.first(call.output_folder)
        out = call.output_folder()
        found = run_evaluator_training(
            call.preset,
            out,
            company.device or call.device(),
            progress(EVALUATOR),
            call.resume,
            call.overwrite,
            allow_changed,
            company,
        )
    rows = [[name, value] for name, value in found.items()]
    call.console.table("validation split: real motions and their captions", ["measure", "value"], rows)
    call.console.emit({"evaluator": str(out / EVALUATOR), **found})
    call.console.info(
        f"Next: motionrft eval generation --data DIR --evaluator {out / EVALUATOR} --generator DIR"
    )
    return 0


def _show(call: Call[TrainRewardPreset], about: dict[str, Any]) -> None:
    """What the validation split says of each stage."""
    from motionrft.reward.retrieval import protocol_in_words

    rows = [
        [
            representation,
            protocol_in_words(protocol, values),
            *(f"{values[f't2m/R{k}']:.1f}" for k in (1, 2, 3, 5, 10)),
        ]
        for representation, protocols in about.get("recall", {}).items()
        for protocol, values in protocols.items()
    ]
    title = "validation split: text finds motion among 32, per cent"
    call.console.table(title, ["representation", "protocol", "R@1", "R@2", "R@3", "R@5", "R@10"], rows)
    held_out = about.get("preference_held_out", [])
    for stage in ("preference", "authenticity"):
        report = about.get(stage, {})
        if report:
            measures = next(iter(report.values()))
            rows = [
                [_in_words(key, held_out), *(f"{values[key]:.3g}" for values in report.values())]
                for key in measures
            ]
            origin = about.get("preference_pairs") if stage == "preference" else None
            title = f"validation split: {stage}" + (f" ({origin})" if origin else "")
            call.console.table(title, ["measure", *report], rows)


def _in_words(measure: str, held_out: list[str]) -> str:
    """`acc/jitter` is the accuracy on pairs of that fault."""
    _, _, kind = measure.partition("/")
    if not kind:
        return measure
    return f"acc, {kind}{' (never trained on)' if kind in held_out else ''}"
