"""eval: the field's protocols, with their identity, as tables, JSON, LaTeX and a page."""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from motionrft.errors import UserError
from motionrft.evaluation.preset import EvalPreset
from motionrft.plurals import counted
from motionrft_cli.dry_run import duration
from motionrft_cli.job_parts import SIGNED, Part
from motionrft_cli.memory import MIB
from motionrft_cli.options import Call, command, sets
from motionrft_cli.processes import speaks
from motionrft_cli.shares import Shard, share_of

if TYPE_CHECKING:
    from motionrft.evaluation.evaluation_session import EvaluationSession
    from motionrft.evaluation.result import EvaluationResult
    from motionrft.training.distribution import Distribution

Kind = Literal["generation", "retrieval", "preference", "authenticity", "physics", "events"]


@command(
    EvalPreset,
    "motionrft eval generation --preset mini --generator runs/first/generator",
    "motionrft eval physics --motions samples --markdown",
)
def eval(
    call: Call[EvalPreset],
    kind: Annotated[Kind, typer.Argument(help="what is evaluated")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="results of --compare, or ratings of --ratings")
    ] = None,
    data: Annotated[str | None, sets("data")] = None,
    generator: Annotated[str | None, sets("generator")] = None,
    motions: Annotated[str | None, sets("motions")] = None,
    reward: Annotated[str | None, sets("reward")] = None,
    evaluator: Annotated[str | None, sets("evaluator")] = None,
    sampler: Annotated[str | None, sets("sampler")] = None,
    eta: Annotated[float | None, sets("eta")] = None,
    temperature: Annotated[float | None, sets("temperature")] = None,
    top_k: Annotated[int | None, sets("top_k")] = None,
    steps: Annotated[int | None, sets("steps")] = None,
    guidance: Annotated[float | None, sets("guidance")] = None,
    repeats: Annotated[int | None, sets("repeats")] = None,
    name: Annotated[str | None, sets("name")] = None,
    against: Annotated[
        str | None, typer.Option(help="generator or folder to compare with, on the same items and noise")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="put finished results side by side")] = False,
    study: Annotated[
        int | None, typer.Option(min=1, help="prompts of a blind A/B page (with --against)")
    ] = None,
    ratings: Annotated[
        Path | None, typer.Option(metavar="KEY", help="read raters' files with the study's key")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="LaTeX table on stdout")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown table on stdout")] = False,
    shard: Shard = None,
) -> int:
    """Evaluate by the field's protocols.

    Every result carries its judge, data, seeds and versions; --compare RESULT... refuses to mix them. With --out
    the numbers, tables and a page are written there.
    """
    _refuse_clashes(sum((call.json, latex, markdown)), None if compare or ratings else files)
    if (compare or ratings or call.dry_run) and not speaks():
        return 0  # one process does what is done in a moment
    if ratings is not None:
        return _read_ratings(call, files or [], ratings)
    if compare:
        return _conclude(call, _read_results(files or []), [], None, None, latex, markdown)
    if study is not None and (against is None or call.out is None):
        raise UserError(
            "--study compares two systems and writes a page: name the other with --against, and --out DIR."
        )
    if call.dry_run:
        return _dry_run(call, kind, against)
    if shard is not None:
        return _keep_share(call, kind, against, shard)
    from motionrft.training.distribution import Distribution

    with Distribution.join(call.device(), own_card=False) as company:
        if call.out is not None:
            company.first(call.output_folder)
        session, results, skipped = _evaluate(call, kind, against, company)
    if not company.main:
        return 3 if skipped else 0
    return _conclude(call, results, skipped, session, study, latex, markdown)


def _refuse_clashes(formats: int, unexpected: list[Path] | None) -> None:
    """Raise `UserError` where several formats are asked of one stdout, or files come that nothing reads."""
    if formats > 1:
        raise UserError("--json, --latex and --markdown all want stdout: choose one.")
    if unexpected:
        raise UserError(
            f"unexpected argument {unexpected[0]}: results go with --compare, ratings with --ratings KEY."
        )


def _keep_share(call: Call[EvalPreset], kind: Kind, against: str | None, shard: str) -> int:
    """Sample one job's share; `motionrft merge` judges what all have sampled."""
    from motionrft.evaluation.evaluation_session import EvaluationSession
    from motionrft.evaluation.sampled_parts import SampledParts
    from motionrft.training.atomic import write_text

    if kind != "generation":
        why = "torchrun shares its prompts" if kind == "events" else "it only reads motions, in a moment"
        raise UserError(f"--shard is for eval generation, not for eval {kind}: {why}.")
    with share_of(call, shard) as share:
        out = call.output_folder()
        out.mkdir(parents=True, exist_ok=True)
        parts = SampledParts((out,), (share.number, share.count))
        session = EvaluationSession(call.preset, call.device(), call.dtype(), parts=parts)
        with call.console.progress("sampling", None, "motions") as bar:
            session.progress = lambda subject, motions: bar.advance(motions)
            session.keep_share(against)
        signed = {**share.sign(call), "against": against, "preset": call.preset.to_yaml()}
        write_text(out / SIGNED, json.dumps(signed, indent=1) + "\n")
    call.console.info(f"Next, when all {share.count} are done: motionrft merge {out} … --out DIR")
    return 0


def judge_parts(call: Call[EvalPreset], parts: list[Part], against: str | None) -> int:
    """Judge what the jobs of an array have sampled, as one process would have."""
    from motionrft.evaluation.evaluation_session import EvaluationSession
    from motionrft.evaluation.sampled_parts import SampledParts

    if call.out is not None:
        call.output_folder()
    folders = SampledParts(tuple(part.place for part in parts))
    session = EvaluationSession(call.preset, call.device(), call.dtype(), parts=folders)
    results = session.generation(against)
    return _conclude(call, results, [], session, None, False, False)


def _conclude(
    call: Call[EvalPreset],
    results: list["EvaluationResult"],
    skipped: list[str],
    session: "EvaluationSession | None",
    study: int | None,
    latex: bool,
    markdown: bool,
) -> int:
    """Show and write what was found; the exit code."""
    out = None if call.out is None else call.output_folder()
    _show(call, results, latex, markdown)
    for message in skipped:
        call.console.warn(f"skipped: {message}")
    if out is not None:
        _write(call, out, results, session, study)
    return 3 if skipped else 0


def _dry_run(call: Call[EvalPreset], kind: Kind, against: str | None) -> int:
    """Check everything and say what it would cost; a generator makes two denoising steps."""
    from motionrft.evaluation.evaluation_session import EvaluationSession

    session = EvaluationSession(call.preset, call.device(), call.dtype())
    if kind == "events":
        motions = session.event_motions(against)
        call.console.info(f"dry run: {counted(motions, 'motion')} would be sampled and judged")
        call.console.emit({"dry_run": True, "kind": kind, "motions": motions})
        return 0
    if kind != "generation":
        call.console.info(
            f"dry run: {kind} only reads and embeds motions, which takes seconds to a few minutes"
        )
        call.console.emit({"dry_run": True, "kind": kind})
        return 0
    cost = session.estimate(against)
    rows: list[tuple[str, object]] = [
        ("test items", cost["items"]),
        ("repetitions", cost["repetitions"]),
        ("parameters", f"{cost['parameters']:,}"),
        ("a denoising step of a batch", f"{cost['seconds_per_step']:.3g} s"),
        ("sampling in all", duration(cost["seconds"])),
        ("disk", f"{cost['bytes'] / MIB:.1f} MiB"),
    ]
    call.console.table("dry run: generation", ["what", "estimate"], rows)
    call.console.emit({"dry_run": True, "kind": kind, **cost})
    return 0


def _evaluate(
    call: Call[EvalPreset], kind: Kind, against: str | None, company: "Distribution"
) -> tuple["EvaluationSession", list["EvaluationResult"], list[str]]:
    from motionrft.evaluation.evaluation_session import EvaluationSession

    device = company.device or call.device()
    session = EvaluationSession(call.preset, device, call.dtype(), company=company)
    if kind == "generation":
        with call.console.progress("sampling", session.motions(against), "motions") as bar:

            def watch(subject: str, motions: int) -> None:
                bar.describe(f"sampling {subject}")
                bar.advance(motions)

            session.progress = watch
            return session, session.generation(against), []
    if kind == "events":
        with call.console.progress("sampling", session.event_motions(against), "motions") as bar:
            session.progress = lambda subject, motions: bar.advance(motions)
            return session, session.events(against), []
    if kind == "physics":
        result, skipped = session.physics()
        return session, [result], skipped
    return session, [getattr(session, kind)()], []


def _read_results(files: list[Path]) -> list["EvaluationResult"]:
    from motionrft.evaluation.result import EvaluationResult, check_comparable

    if len(files) < 2:
        raise UserError(
            "--compare needs at least two results: the result.json files, or the folders they lie in."
        )
    results = [EvaluationResult.load(file) for file in files]
    check_comparable(results)
    return results


def _read_ratings(call: Call[EvalPreset], files: list[Path], key: Path) -> int:
    from motionrft.report.study import read_ratings

    result = read_ratings(files, key)
    if call.json:
        from dataclasses import asdict

        call.console.emit(asdict(result))
    else:
        typer.echo(result.markdown())
    return 0


def _show(call: Call[EvalPreset], results: list["EvaluationResult"], latex: bool, markdown: bool) -> None:
    from motionrft.evaluation import tables

    if call.json:
        plain = [result.plain() for result in results]
        call.console.emit(plain[0] if len(plain) == 1 else {"results": plain})
    elif latex or markdown:
        sys.stdout.write(tables.latex(results) if latex else tables.markdown(results))
    header, rows = tables.shell_table(results)
    call.console.table(results[0].kind, header, rows)
    for note in tables.footnotes(results):
        call.console.info(note)


def _write(
    call: Call[EvalPreset],
    out: Path,
    results: list["EvaluationResult"],
    session: "EvaluationSession | None",
    study: int | None,
) -> None:
    from motionrft.evaluation import tables
    from motionrft.evaluation.report import report_data, study_pairs
    from motionrft.evaluation.result import RESULT
    from motionrft.report.page import write_report
    from motionrft.training.atomic import write_text

    results[-1].save(out / RESULT)
    for result in results[:-1]:
        result.save(out / f"{result.subject['name'].replace('/', '-')}.json")
    write_text(out / "table.md", tables.markdown(results))
    write_text(out / "table.tex", tables.latex(results))
    write_text(out / "preset.yaml", call.preset.to_yaml())
    galleries = [] if session is None else session.galleries
    same_noise = session is not None and session.same_noise
    cost = {"time": f"{time.process_time():.0f} s of processor time"}
    command_line = shlex.join(["motionrft", *sys.argv[1:]])
    title = f"Evaluation: {results[0].kind}"
    data = report_data(results, galleries, call.preset.pictures, title, same_noise, command_line, cost)
    page = write_report(out / "report.html", data)
    if study is not None:
        from motionrft.report.study import write_study

        names = (results[0].subject["name"], results[-1].subject["name"])
        pairs = study_pairs(galleries, study, call.preset.seed)
        study_page, key = write_study(out / "study.html", pairs, names, call.preset.seed, data.fps)
        call.console.info(
            f"Send {study_page} to raters, keep {key}; then motionrft eval generation --ratings {key} *.json"
        )
    call.console.info(f"Report: {page}")
