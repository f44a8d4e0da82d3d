"""merge: one result of what the jobs of an array have made."""

import json
from pathlib import Path
from typing import Annotated

import typer

from motionrft.errors import UserError
from motionrft.evaluation.merge_preset import MergePreset
from motionrft_cli.job_parts import COMMAND, Part, checked, merged_lines
from motionrft_cli.options import Call, command
from motionrft_cli.shares import refuse_several


@command(
    MergePreset,
    "motionrft merge scores-*.jsonl --out scores.jsonl",
    "motionrft merge runs/eval-1 runs/eval-2 --out runs/eval",
)
def merge(
    call: Call[MergePreset],
    parts: Annotated[
        list[Path], typer.Argument(help="what each job printed with --json, or the folders of eval's jobs")
    ],
) -> int:
    """Put the shares of a job array together, as if one process had done the work.

    Jobs of sample, score and convert print JSON lines, which are sorted into the order of the input. Jobs of eval have
    sampled; their motions are judged now. A share that is missing, unfinished or there twice is refused.
    """
    refuse_several("merge")
    folders = [part for part in parts if part.is_dir()]
    if folders and len(folders) < len(parts):
        raise UserError("both files and folders are named: lines and evaluations are merged apart.")
    if call.resume:
        raise UserError("--resume: merging keeps no state to go on from; --overwrite replaces what is there.")
    found = checked(parts)
    if call.dry_run:
        call.console.info(
            f"{len(found)} shares of {found[0].signed.get(COMMAND)}: whole; nothing is written."
        )
        call.console.emit({"dry_run": True, "shares": len(found), "of": found[0].signed.get(COMMAND)})
        return 0
    return _judge(call, found) if folders else _join(call, found)


def _join(call: Call[MergePreset], parts: list[Part]) -> int:
    from motionrft.training.atomic import write_text

    lines = merged_lines(parts)
    if call.out is None and not call.json:
        raise UserError("--out FILE is missing: name the file for the lines, or print them with --json.")
    if call.out is not None:
        if call.out.is_dir() or (call.out.exists() and not call.overwrite):
            raise UserError(
                f"--out {call.out}: is there; name another file, or add --overwrite to replace a file."
            )
        write_text(call.out, "".join(json.dumps(line) + "\n" for line in lines))
        call.console.info(f"{len(lines)} lines of {parts[0].signed.get(COMMAND)} in {call.out}.")
    for line in lines:
        call.console.emit(line)
    return 0


def _judge(call: Call[MergePreset], parts: list[Part]) -> int:
    from motionrft.evaluation.preset import EvalPreset
    from motionrft.settings.plain_yaml import read_yaml
    from motionrft_cli.eval import judge_parts

    signed, place = parts[0].signed, parts[0].place
    if signed.get(COMMAND) != "eval" or not isinstance(signed.get("preset"), str):
        raise UserError(f"{place}: no evaluation's share.")
    preset = EvalPreset.of(read_yaml(signed["preset"], str(place)) or {})
    preset = preset.model_copy(update={"device": call.preset.device, "precision": call.preset.precision})
    judging = Call("eval", preset, call.console, call.out, overwrite=call.overwrite, json=call.json)
    return judge_parts(judging, parts, signed.get("against"))
