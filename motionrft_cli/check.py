"""check: what things are, whether they fit together, and what this machine can do."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionrft.checking.preset import CheckPreset
from motionrft.errors import UserError
from motionrft_cli.commands import COMMANDS, preset_model
from motionrft_cli.inputs import Null, expand_inputs
from motionrft_cli.options import Call, command, sets
from motionrft_cli.shares import refuse_several

if TYPE_CHECKING:
    from motionrft.checking.found import Found
    from motionrft.checking.preflight import Preflight

MIB = 2**20
_SEVERAL = 4
"""Things from which on each has a line instead of a table."""
_LINE = (
    "family",
    "project",
    "representation",
    "representations",
    "values_a_frame",
    "fps",
    "frames",
    "motions",
)
_SHORT_HASH = 12
_NARROWEST = 20
_INDENT = "    "


@command(
    CheckPreset,
    "motionrft check captures/ data/mine runs/first/generator",
    "motionrft check --generator builtin --reward builtin --data data/mine --json",
    only={"seed": ((0,), "draws nothing"), "precision": (("auto", "fp32"), "computes nothing")},
)
def check(
    call: Call[CheckPreset],
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="files and folders, patterns, or - for a list on stdin", metavar="PATH"),
    ] = None,
    generator: Annotated[str | None, sets("generator")] = None,
    reward: Annotated[str | None, sets("reward")] = None,
    data: Annotated[str | None, sets("data")] = None,
    evaluator: Annotated[str | None, sets("evaluator")] = None,
    finetune: Annotated[str | None, typer.Option(metavar="NAME|FILE"), sets("finetune")] = None,
    method: Annotated[str | None, sets("method")] = None,
    null: Null = False,
) -> int:
    """Say what things are, and whether they would work together, before anything is loaded.

    PATHs: what each is (motion, data set, generator, reward, evaluator, run folder, another project's
    checkpoint, pairs, prompts, preset). With --generator, --reward, --data, --evaluator, --finetune or
    --method: the preflight of that fine-tuning. Without either: this machine and this installation. Ends with 2
    where something cannot work, with 3 where some of several things cannot.
    """
    refuse_several("check")
    if call.out is not None or call.resume or call.overwrite or call.dry_run:
        raise UserError("check writes nothing: leave --out, --resume, --overwrite and --dry-run away")
    asked = ("generator", "reward", "data", "evaluator", "finetune", "method")
    wanted = any(getattr(call.preset, name) is not None for name in asked)
    code = _things(call, paths, null) if paths else 0
    if wanted:
        code = _preflight(call) or code
    if not paths and not wanted:
        _environment(call)
    return code


def _things(call: Call[CheckPreset], names: list[str], null: bool) -> int:
    """What each path is; 2 where none is anything, 3 where some are not."""
    from motionrft.checking.recognise import what_is

    presets = {name: (lambda name=name: preset_model(name)) for name in COMMANDS}
    found = []
    with call.console.progress("checking", unit="things") as bar:
        for path in expand_inputs(names, null):
            for thing in what_is(path, presets):
                call.console.emit(thing.plain())
                found.append(thing)
                bar.advance()
    good = [thing for thing in found if thing.kind]
    if len(good) > _SEVERAL:
        root = Path(names[0]) if len(names) == 1 and Path(names[0]).is_dir() else None
        where = "" if root is None else f" in {root}"
        call.console.info(f"{len(good)} things{where}")
        width = max(call.console.rich.width - len(_INDENT), _NARROWEST)
        for thing in good:
            call.console.info(f"{_below(root, thing.path)}: {thing.kind}")
            for line in wrap(_in_a_line(thing), width, break_long_words=False, break_on_hyphens=False):
                call.console.info(f"{_INDENT}{line}")
    else:
        for thing in filter(lambda each: each.facts, good):
            _list(call, f"{thing.path}: {thing.kind}", _rows(thing.facts))
    wrong = [thing.problem for thing in found if thing.problem is not None]
    if len(found) == len(wrong) == 1:
        raise UserError(wrong[0])
    for problem in wrong:
        call.console.error(problem)
    return 0 if not wrong else 2 if len(wrong) == len(found) else 3


def _below(root: Path | None, path: Path) -> str:
    return str(path if root is None else path.relative_to(root))


def _preflight(call: Call[CheckPreset]) -> int:
    from motionrft.checking.preflight import preflight

    found = preflight(call.preset)
    call.console.emit(found.plain())
    if found.parts:
        _show_parts(call, found)
    if found.run:
        rows = _rows({name: value for name, value in found.run.items() if name != "memory"})
        _list(call, "the run", rows)
    if memory := found.run.get("memory"):
        call.console.table("memory, without the graph of an update", ["for", "MiB"], list(memory.items()))
    for note in found.notes:
        call.console.warn(note)
    for problem in found.problems:
        call.console.error(problem)
    if not found.problems:
        call.console.info(
            "Nothing stands in the way. finetune --dry-run measures time and memory of an update."
        )
    return 2 if found.problems else 0


def _show_parts(call: Call[CheckPreset], found: "Preflight") -> None:
    """One row a property, one column a part."""
    names = list(dict.fromkeys(name for facts in found.parts.values() for name in facts))
    skipped = {"weights", "missing", "hashes"}
    rows = [
        (_words(name), *(_shown(name, facts.get(name)) for facts in found.parts.values()))
        for name in names
        if name not in skipped
    ]
    call.console.table("the parts", ["what", *found.parts], rows)


def _environment(call: Call[CheckPreset]) -> None:
    from motionrft.checking.environment import here

    found = here()
    call.console.emit({"kind": "environment", **found})
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if name in ("packages", "devices", "text_encoders", "extras", "from_packages"):
            flat |= {f"{_words(name)}: {key}": each for key, each in value.items() if each}
        else:
            flat[name] = value
    _list(call, "this machine", _rows(flat))


def _list(call: Call[CheckPreset], title: str, rows: list[tuple[str, str]]) -> None:
    """Names on the left, whole; what is said of each beside them, in as many lines as it takes."""
    left = max((len(name) for name, _ in rows), default=0) + 2
    width = max(call.console.rich.width - left - 2, _NARROWEST)
    call.console.info(title)
    for name, said in rows:
        first, *more = wrap(said, width, break_long_words=False, break_on_hyphens=False) or [""]
        call.console.info(f"  {name:<{left}}{first}")
        for line in more:
            call.console.info(f"  {'':<{left}}{line}")
    call.console.info("")


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (_words(name), _shown(name, value)) for name, value in facts.items() if value not in (None, [], {})
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(name: str, value: Any) -> str:
    """A fact as people read it."""
    if value is None or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "bytes":
        return f"{value / MIB:.1f} MiB"
    if name == "frames" and isinstance(value, list):
        return f"{value[0]} to {value[1]}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown('', each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_shown("", each) for each in value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_a_line(thing: "Found") -> str:
    """The few facts that tell things of one kind apart."""
    named = [f"{_words(name)} {_shown(name, thing.facts[name])}" for name in _LINE if thing.facts.get(name)]
    first = named or [
        f"{_words(name)} {_shown(name, value)}" for name, value in list(thing.facts.items())[:3]
    ]
    if digest := thing.facts.get("sha256"):
        first.append(f"sha256 {digest[:_SHORT_HASH]}…")
    return ", ".join(first)
