"""finetune: a generator made better by reward."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from motionrft.diffusion.plan import plan_rows, updates
from motionrft.errors import UserError
from motionrft.finetuning.methods.base import method_named, plan_of
from motionrft.finetuning.preset import FinetunePreset
from motionrft_cli.following import Log, check_log, followed
from motionrft_cli.options import Call, command, sets
from motionrft_cli.resuming import AllowChanged
from motionrft_cli.shares import refuse_several
from motionrft_cli.training_progress import LoopProgress

if TYPE_CHECKING:
    from motionrft.finetuning.session import Finetuned, FinetuneSession

MIB = 2**20


@command(
    FinetunePreset,
    "motionrft finetune --preset mini-easytune --out runs/first",
    "motionrft finetune --method draft --lr 5e-6 --time-limit 10m --out runs/draft",
    "motionrft finetune --method alignprop --show-plan",
)
def finetune(
    call: Call[FinetunePreset],
    method: Annotated[str | None, sets("method")] = None,
    generator: Annotated[str | None, sets("generator")] = None,
    reward: Annotated[str | None, sets("reward")] = None,
    evaluator: Annotated[str | None, sets("evaluator")] = None,
    data: Annotated[str | None, sets("data")] = None,
    prompts: Annotated[str | None, sets("prompts")] = None,
    pairs: Annotated[str | None, sets("pairs")] = None,
    constraints: Annotated[str | None, sets("constraints")] = None,
    lora: Annotated[bool | None, typer.Option("--lora/--full"), sets("lora.enabled")] = None,
    steps: Annotated[int | None, sets("steps")] = None,
    guidance: Annotated[float | None, sets("guidance")] = None,
    updates: Annotated[int | None, sets("updates")] = None,
    epochs: Annotated[float | None, sets("epochs")] = None,
    batch: Annotated[int | None, sets("batch")] = None,
    lr: Annotated[float | None, sets("optimiser.lr")] = None,
    time_limit: Annotated[str | None, sets("time_limit")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="run several methods (--method a,b,c) with equal budgets")
    ] = False,
    diagnose: Annotated[
        str | None,
        typer.Option(metavar="gradients|similarity|memory|all", help="draw why the method works, and stop"),
    ] = None,
    show_plan: Annotated[
        bool, typer.Option("--show-plan", help="print what the method does at each denoising step, and stop")
    ] = False,
    allow_changed: AllowChanged = None,
    log: Log = None,
) -> int:
    """Fine-tune a generator by reward.

    Without a generator, reward or prompts the built-in ones are used. OUT/generator is the result,
    OUT/report.html shows it; the run ends with a table of before and after on held-out prompts.
    """
    if call.preset.compare and not compare and method is not None:
        raise UserError("several methods are named: add --compare to run all of them, or name one")
    compare = compare or bool(call.preset.compare)
    if compare and not call.preset.compare:
        raise UserError(
            "--compare needs several methods: --method easytune,refl,draft, or a preset with compare"
        )
    if log is not None and (show_plan or call.dry_run or compare or diagnose is not None):
        raise UserError(
            "--log is of a run: leave it away with --show-plan, --dry-run, --compare and --diagnose"
        )
    if show_plan:
        return _show_plan(call)
    if call.dry_run:
        return _dry_run(call)
    if log is not None:
        check_log(log)
    out = call.output_folder()
    if diagnose is not None:
        return _diagnose(call, diagnose)
    if compare:
        return _compare(call)
    from motionrft.finetuning.run import finetune as tune

    with followed(call, log, staged=False) as progress:
        done = tune(call.preset, replace(_session(call, allow_changed or ()), progress=progress))
    _show(call, done, out / "generator")
    return 0


def _show(call: Call[FinetunePreset], done: "Finetuned", generator: Path) -> None:
    """The tables of before and after, and where everything is."""
    from motionrft.finetuning.report import shown

    for title, rows in done.tables.items():
        heading = f"held-out prompts, {title} ({done.protocols.get(title, done.protocol)})"
        call.console.table(heading, ["metric", "before", "after", "change"], shown(rows))
    call.console.emit(
        {
            "generator": str(done.generator),
            "report": str(done.report),
            "updates": done.outcome.step,
            "seconds": done.outcome.seconds,
            "reason": done.outcome.reason,
            "tables": {
                title: {
                    row.metric: [v.mean if v else None for v in (*row.values, *row.changes)] for row in rows
                }
                for title, rows in done.tables.items()
            },
        }
    )
    call.console.info(f"Report: {done.report}")
    call.console.info(f'Next: motionrft sample "a person waves" --generator {generator} --out samples')


def _session(call: Call[FinetunePreset], allow_changed: Sequence[str] = ()) -> "FinetuneSession":
    from motionrft.finetuning.session import FinetuneSession

    return FinetuneSession(
        call.out or Path(),
        call.device(),
        call.dtype(),
        call.resume,
        call.overwrite,
        progress=lambda stage: LoopProgress(call.console, stage),
        say=call.console.warn_of_all,
        allow_changed=tuple(allow_changed),
    )


def _compare(call: Call[FinetunePreset]) -> int:
    from motionrft.finetuning.comparison import compare_methods, protocol, table

    session = _session(call)
    found = compare_methods(call.preset, session)
    header, rows = table(found)
    call.console.table(f"methods at equal budget ({protocol(found)})", header, rows)
    for row in rows:
        call.console.emit(dict(zip(header, row, strict=True)))
    call.console.info(f"Report: {session.out / 'report.html'}")
    return 0


def _diagnose(call: Call[FinetunePreset], what: str) -> int:
    """Charts of an untuned generator, into the output folder."""
    from motionrft.finetuning.diagnostics import DIAGNOSTICS
    from motionrft.finetuning.report import plot_name, write_plots
    from motionrft.finetuning.run import FinetuneRun

    refuse_several("finetune --diagnose")
    names = list(DIAGNOSTICS) if what == "all" else [what]
    if unknown := [name for name in names if name not in DIAGNOSTICS]:
        raise UserError(f"--diagnose {unknown[0]}: no such chart; there are {', '.join(DIAGNOSTICS)} and all")
    session = _session(call)
    tuning = FinetuneRun(call.preset, session)
    for name in names:
        series = DIAGNOSTICS[name](tuning)
        write_plots(session.out, series)
        for line in series:
            call.console.emit({"chart": line.chart, "name": line.name, "x": list(line.x), "y": list(line.y)})
        call.console.info(f"{name}: {session.out}/{plot_name(series[0].chart)}")
    return 0


def _show_plan(call: Call[FinetunePreset]) -> int:
    """Plans at the beginning, in the middle and at the end of training; random methods draw by the seed."""
    preset = call.preset
    columns = ["step", "graph", "detach", "reward", "update", "last"]
    for name, progress in (("start", 0.0), ("middle", 0.5), ("end", 1.0)):
        plan = plan_of(preset.method, preset.steps, progress, Random(preset.seed))
        rows = list(plan_rows(plan))
        follows = method_named(preset.method.method).follows_plan
        made = (
            f"{updates(plan)} updates a trajectory" if follows else "a plain trajectory, the updates after it"
        )
        title = f"{preset.method.method}, {name} of training: {made}"
        call.console.table(title, columns, rows)
        call.console.emit(
            {
                "progress": progress,
                "updates": updates(plan) if follows else None,
                "plan": [dict(zip(columns, row)) for row in rows],
            }
        )
    return 0


def _dry_run(call: Call[FinetunePreset]) -> int:
    from motionrft.finetuning.estimate import estimate

    found = estimate(call.preset, _session(call))
    rows = [
        ("parameters trained", f"{found.trained:,} of {found.parameters:,}"),
        ("held for backward", f"{found.graph_bytes / MIB:.1f} MiB with the longest prompts"),
        ("peak memory", f"{found.peak_bytes / MIB:.0f} MiB"),
        ("time an update", f"{found.seconds_an_update:.3f} s"),
        ("time of the run", "-" if found.seconds is None else f"{found.seconds / 60:.1f} min"),
        ("disk needed", f"{found.disk_bytes / MIB:.0f} MiB"),
        ("text", found.text),
        *([] if found.passes is None else [("network passes a step", str(found.passes))]),
        *([("licence of the weights", found.licence)] if found.licence else []),
    ]
    call.console.table("dry run: nothing was written", ["what", "how much"], rows)
    call.console.emit(vars(found))
    return 0
