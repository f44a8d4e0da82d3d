"""convert: motions between representations and file formats; data sets; official checkpoints."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionrft.errors import UserError
from motionrft.files.preset import ConvertPreset
from motionrft.plurals import counted
from motionrft_cli import convert_dataset
from motionrft_cli.inputs import Null, expand_inputs
from motionrft_cli.options import Call, command, sets
from motionrft_cli.outputs import check_writable_folder, cleaned
from motionrft_cli.shares import Shard, Share, refuse_several, share_of

if TYPE_CHECKING:
    from motionrft.files.conversion import Conversion, Existing, Outcome

ConvertCall = Call[ConvertPreset]
_UNSEEN_MM = 0.5
"""Residuals up to here are not worth a word."""


@command(
    ConvertPreset,
    "motionrft convert captures/ --to kinematic --out features --jobs 2",
    "motionrft convert samples/ --to glb --out scenes",
    "motionrft convert data/mine --check",
    only={
        "device": (("auto", "cpu"), "runs on the processor"),
        "precision": (("auto", "fp32"), "computes in fp32"),
    },
)
def convert(
    call: ConvertCall,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="motion files, folders, globs, or - for a list on stdin"),
    ],
    to: Annotated[str | None, sets("to")] = None,
    fps: Annotated[float | None, sets("fps")] = None,
    mirror: Annotated[bool | None, typer.Option("--mirror"), sets("mirror")] = None,
    jobs: Annotated[int | None, sets("jobs")] = None,
    format: Annotated[str | None, sets("format")] = None,
    out_unit: Annotated[str | None, sets("out_unit")] = None,
    rest: Annotated[str | None, sets("rest")] = None,
    positions: Annotated[bool | None, typer.Option("--positions"), sets("positions")] = None,
    null: Null = False,
    dataset: Annotated[
        bool, typer.Option("--dataset", help="build a data set folder, or complete an existing one")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="check an existing data set folder and write nothing")
    ] = False,
    show_joint_map: Annotated[
        bool,
        typer.Option("--show-joint-map", help="print a BVH file's joint map as YAML to edit for --joint-map"),
    ] = False,
    join: Annotated[
        bool,
        typer.Option("--join", help="put the inputs after each other, as one motion in --out FILE or DIR"),
    ] = False,
    meanwhile: Annotated[
        bool,
        typer.Option(
            "--meanwhile", help="with --join: the arms of the second motion over the body of the first"
        ),
    ] = False,
    captions: Annotated[str | None, sets("captions")] = None,
    splits: Annotated[str | None, sets("splits")] = None,
    split_column: Annotated[str | None, sets("split_column")] = None,
    hold_out: Annotated[str | None, typer.Option(metavar="KEY=VALUE"), sets("hold_out")] = None,
    family: Annotated[str | None, sets("family")] = None,
    shard: Shard = None,
) -> int:
    """Convert motions, build data sets, translate checkpoints.

    One output a motion, with the name and the sub-folders of its input. Bad files are named and left out.
    """
    paths = expand_inputs(inputs, null)
    whole = dataset or check or join or show_joint_map or call.preset.to in ("official", "motionrft")
    if shard is not None and (whole or call.preset.format == "official"):
        raise UserError(
            "--shard divides files that are converted one by one; this is made whole. Leave it out."
        )
    if show_joint_map:
        return _joint_map(paths)
    if join or meanwhile:
        return _joined(call, paths, join, meanwhile)
    if check:
        return convert_dataset.check(call, paths)
    if dataset:
        with share_of(call, None) as share:
            return convert_dataset.build_or_complete(call, paths, share.company)
    if "official" in (call.preset.to, call.preset.format):
        return _official(call, paths)
    if call.preset.to == "motionrft":
        return _checkpoint(call, paths)
    with share_of(call, shard) as share:
        return _motions(call, paths, share)


def _joint_map(paths: list[Path]) -> int:
    from motionrft.files.bvh_reading import read_bvh
    from motionrft.files.formats.bvh import tree_of
    from motionrft.files.recognition import joint_map_template

    refuse_several("convert --show-joint-map")
    if len(paths) != 1 or paths[0].suffix.lower() != ".bvh":
        raise UserError(
            "--show-joint-map takes one BVH file: other formats say themselves which joint is which."
        )
    typer.echo(joint_map_template(tree_of(read_bvh(paths[0])), str(paths[0])), nl=False)
    return 0


def _motions(call: ConvertCall, paths: list[Path], share: Share) -> int:
    from motionrft.files.conversion import convert_files, existing_outputs
    from motionrft.files.planning import plan_jobs

    conversion = _conversion(call)
    if call.out is None:
        raise UserError("--out DIR is missing: name the folder to write to.")
    planned = plan_jobs(paths, call.out, conversion.ending, conversion.reading)
    place = {job.source: number for number, job in enumerate(planned)}
    jobs = list(share.of(share.noted(planned, lambda job: job.source.name)))
    if not jobs and not share.several:
        call.console.info(f"nothing falls to this share: the input is {counted(len(planned), 'file')}.")
        return 0
    check_writable_folder(jobs[0].stem.parent if len(jobs) == 1 else call.out)
    for folder in {job.stem.parent for job in jobs}:
        cleaned(folder)
    there = existing_outputs(jobs, conversion)
    if there and not (call.overwrite or call.resume):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UserError(
            f"{there[0]}{more}: exists. Add --overwrite to replace, or --resume to convert only the rest."
        )
    if call.dry_run:
        call.console.info(
            f"{counted(len(jobs), 'file')} to {conversion.target} in {call.out}; nothing written."
        )
        call.console.emit({"files": len(jobs), "to": conversion.target, "out": call.out})
        return 0
    with call.console.progress("converting", len(jobs), "files") as bar:
        outcomes = []
        existing: Existing = "keep" if call.resume else "replace" if call.overwrite else "refuse"
        for outcome in convert_files(jobs, conversion, call.preset.jobs, existing):
            if not share.several:
                _tell(call, outcome, share, place[outcome.source])
            outcomes.append(outcome)
            bar.advance()
    if share.several:
        outcomes = share.merged(outcomes, lambda outcome: place[outcome.source])
        for outcome in outcomes:
            _tell(call, outcome, share, place[outcome.source])
    code = _summary(call, outcomes)
    _tell_rate(call, conversion)
    return code


def _tell_rate(call: ConvertCall, conversion: "Conversion") -> None:
    if (fps := conversion.unsaid_fps) is not None:
        call.console.warn(
            f"a .npy does not say that it is at {fps:g} fps: read it with --source-fps {fps:g}, or write --format npz"
        )


def _joined(call: ConvertCall, paths: list[Path], join: bool, meanwhile: bool) -> int:
    from motionrft.files.joining import join_files
    from motionrft.files.words import target_words

    if not join:
        raise UserError("--meanwhile says how two motions are joined: add --join.")
    refuse_several("convert --join")
    conversion = _conversion(call)
    if call.out is None:
        raise UserError("--out is missing: name the file or the folder to write to.")
    named = call.out.suffix == conversion.ending
    if not named and not call.out.is_dir() and call.out.suffix[1:] in target_words():
        raise UserError(f"--out {call.out}: --to {conversion.target} writes {conversion.ending}.")
    out = call.out if named else call.out / f"joined{conversion.ending}"
    check_writable_folder(out.parent)
    if out.exists() and not call.overwrite:
        raise UserError(f"{out}: exists. Add --overwrite to replace it.")
    if call.dry_run:
        call.console.info(f"{counted(len(paths), 'file')} joined to {out}; nothing written.")
        return 0
    motion = join_files(paths, out, conversion, together=meanwhile)
    for warning in motion.warnings:
        call.console.warn(warning)
    for note, count in Counter(motion.notes).items():
        call.console.info(f"recognised: {note} ({count}x)")
    _tell_rate(call, conversion)
    call.console.info(f"{counted(len(motion), 'frame')} at {motion.fps:g} fps written to {out}.")
    call.console.emit({"file": out, "frames": len(motion), "fps": motion.fps, "text": motion.text})
    return 0


def _conversion(call: ConvertCall) -> "Conversion":
    from motionrft.files.conversion import Conversion, target_name
    from motionrft.files.formats.base import WritingOptions
    from motionrft.files.units import SHORT

    preset = call.preset
    if preset.to is None:
        raise UserError(
            "--to is missing: kinematic, joints, rotation, bvh, gif, mp4, html, ...; see convert --help."
        )
    named = call.out is not None and call.out.suffix in (".npy", ".npz", ".safetensors")
    suffix = call.out.suffix if call.out is not None and named else f".{preset.format}"
    return Conversion(
        target_name(preset.to),
        preset.reading_options(),
        preset.fps,
        preset.mirror,
        suffix,
        WritingOptions(SHORT[preset.out_unit], preset.rest, preset.positions),
    )


def _tell(call: ConvertCall, outcome: "Outcome", share: Share, place: int) -> None:
    for fault in outcome.faults:
        call.console.error(fault.message)
    for warning in outcome.warnings:
        call.console.warn(f"{outcome.source}: {warning}")
    errors = [fault.message for fault in outcome.faults]
    residuals = [round(each.worst_mm, 3) for each in outcome.written]
    line = {
        "file": outcome.source,
        "outputs": list(outcome.outputs),
        "errors": errors,
        "residual_mm": residuals,
    }
    call.console.emit(share.placed(line, place))


def _summary(call: ConvertCall, outcomes: "list[Outcome]") -> int:
    written = sum(len(outcome.outputs) for outcome in outcomes)
    kept = sum(len(outcome.kept) for outcome in outcomes)
    bad = sum(len(outcome.faults) for outcome in outcomes)
    there = f", {counted(kept, 'was', 'were')} there" if kept else ""
    also = there + (f", {bad} could not be converted" if bad else "")
    if bad and not written and not kept:
        return 2
    guesses = Counter(note for outcome in outcomes for note in outcome.notes)
    for note, count in guesses.items():
        call.console.info(f"recognised: {note} ({count}x)")
    _tell_residual(call, outcomes)
    call.console.info(f"{counted(written, 'motion')} written to {call.out}{also}.")
    return 3 if bad else 0


def _tell_residual(call: ConvertCall, outcomes: "list[Outcome]") -> None:
    """What constant bones cost, where it is more than half a millimetre."""
    held = [pair for outcome in outcomes for pair in zip(outcome.outputs, outcome.written, strict=True)]
    file, worst = max(held, key=lambda pair: pair[1].worst_mm, default=(None, None))
    if worst is None or worst.worst_mm <= _UNSEEN_MM:
        return
    mean = sum(written.mean_mm for _, written in held) / len(held)
    ways = "; --positions writes stretching bones" if call.preset.to == "bvh" else ""
    call.console.info(
        f"the bones stretch and were made constant: joints are off by {mean:.1f} mm in the mean, by at most "
        f"{worst.worst_mm:.0f} mm ({file}){ways}."
    )


def _checkpoint(call: ConvertCall, paths: list[Path]) -> int:
    from motionrft.official.checkpoints import convert_any

    refuse_several("convert --to motionrft")
    if len(paths) != 1:
        raise UserError("--to motionrft takes one checkpoint.")
    out = call.output_folder()
    statistics = None if call.preset.statistics is None else Path(call.preset.statistics)
    wanted = call.preset
    kind = convert_any(paths[0], out, wanted.family, statistics, wanted.critic_window, wanted.rank)
    follow = 'sample "a person waves" --generator' if kind == "generator" else "score motions/ --reward"
    call.console.info(f"Next: motionrft {follow} {out}" + (" --out samples" if kind == "generator" else ""))
    call.console.emit({"out": out, "kind": kind})
    return 0


def _official(call: ConvertCall, paths: list[Path]) -> int:
    from motionrft.official.generators import export_official

    refuse_several("convert --to official")
    if len(paths) != 1:
        raise UserError("--to official takes one generator folder.")
    file = export_official(paths[0], call.output_folder())
    call.console.info(f"{file}: for the authors' own code; what it reads beside it lies there too.")
    call.console.emit({"out": str(file), "kind": "generator"})
    return 0
