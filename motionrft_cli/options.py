'''What every subcommand shares: the options of "Everywhere", and how a preset becomes a call.

A command file holds one function. Its first parameter is the `Call`; the others are its own arguments and
flags, in Typer's notation. `@command` adds the shared options, resolves the preset (flag > --set >
environment > file > defaults) and answers --show-preset and --list-presets without importing anything
heavy. At the top of the file only torch-free imports are allowed; the rest is imported inside the function.
A complete command file:

    """score: judge motion files with a reward."""

    from typing import Annotated

    import typer

    from motionrft.presets.score import ScorePreset
    from motionrft_cli.options import Call, command, sets


    @command(ScorePreset, example="motionrft score out/*.npy --terms semantic,physics --json")
    def score(
        call: Call[ScorePreset],
        motions: Annotated[list[str], typer.Argument(help="motion files, folders, or - for a list on stdin")],
        reward: Annotated[str | None, sets("reward")] = None,
        text: Annotated[str | None, typer.Option(help="one caption for all motions")] = None,
    ) -> int:
        """Score motions with a reward and with physics.

        People get a table; --json gives one line a motion, in input order.
        """
        from motionrft.reward import load_reward  # heavy: imported here, so that --help stays quick

        model = load_reward(call.preset.reward).to(call.device())
        skipped = 0
        with call.console.progress("scoring", len(motions), "motions") as bar:
            for ... in ...:
                call.console.emit({...})            # --json: stdout, one line each
                bar.advance(semantic=0.61)
        call.console.table("scores", ["file", "semantic"], rows)   # stderr
        return 3 if skipped else 0

and its preset model, `motionrft/presets/score.py`:

    class ScorePreset(Preset):
        command: ClassVar[str] = "score"
        reward: str = Field("builtin", description="reward folder, or builtin")

Rules of the pattern
- The file is motionrft_cli/<name with underscores>.py and the function has the same name: `train_reward.py`,
  `def train_reward`, command `train-reward`. Its line in `motionrft_cli/main.py`'s COMMANDS exists already.
- `sets("a.b")` marks a flag that writes the preset field `a.b`: read `call.preset.a.b`, not the parameter.
  Its help is the field's description. Combine it with `typer.Option("--lr", ...)` for another flag name;
  the parameter's default must be None, so that "not given" is known.
- A parameter without default is required; this is checked after --show-preset and --list-presets.
- `seed`, `device` and `precision` are fields of every preset, set by their flags; `call.device()` and
  `call.dtype()` give torch's objects.
- Return None or 0 when done, 3 when some inputs were skipped. Raise `UserError` (exit 2) for wrong input,
  `RunError` (exit 1) for a run that failed, `Interrupted` (75, 130) for one that was stopped: never print a
  traceback, never call sys.exit, never catch KeyboardInterrupt to hide it.
- `call.output_folder()` / `call.output_file()` check --out (exists, is a file, read-only) before any compute.
- With --resume and no --preset, the preset is the one in OUT/preset.yaml.
- Square brackets that start with a small letter are markup in help texts: write `\\[x]`.
'''

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args, get_origin

import typer
from typer.models import OptionInfo, ParameterInfo

from motionrft.errors import UserError
from motionrft.presets.base import Preset
from motionrft.presets.layers import resolve
from motionrft.presets.mistakes import field_at
from motionrft.presets.shelf import list_presets
from motionrft_cli.console import Console
from motionrft_cli.outputs import check_output_file, check_output_folder

if TYPE_CHECKING:
    import torch

P = TypeVar("P", bound=Preset)
PRESET, RUN, OUTPUT = "Preset", "Run", "Output"


@dataclass(frozen=True)
class Call(Generic[P]):
    """One invocation of a command, everything shared already resolved."""

    command: str
    preset: P
    console: Console
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False
    json: bool = False
    debug: bool = False

    def device(self) -> "torch.device":
        """The device of --device; raises `UserError` when it is not there."""
        from motionrft_cli.devices import resolve_device

        return resolve_device(self.preset.device, self.console.detail)

    def dtype(self) -> "torch.dtype":
        """The number format of --precision on that device."""
        from motionrft_cli.devices import resolve_precision

        return resolve_precision(self.preset.precision, self.device())

    def output_folder(self) -> Path:
        """--out as a folder that may be written to; raises `UserError` otherwise."""
        return check_output_folder(self.out, self.resume, self.overwrite)

    def output_file(self) -> Path:
        """--out as a file that may be written; raises `UserError` otherwise."""
        return check_output_file(self.out, self.overwrite)


@dataclass(frozen=True)
class sets:
    """Marks a parameter as the flag of one preset field."""

    path: str


SHARED: dict[str, tuple[Any, Any]] = {
    "preset": (
        Annotated[
            str | None,
            typer.Option(
                "--preset",
                metavar="NAME|FILE",
                rich_help_panel=PRESET,
                help="a name of --list-presets, or a YAML file",
            ),
        ],
        None,
    ),
    "settings": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="KEY=VALUE",
                rich_help_panel=PRESET,
                help="one field of the preset by dotted path; repeatable",
            ),
        ],
        None,
    ),
    "show_preset": (
        Annotated[
            bool,
            typer.Option(
                "--show-preset", rich_help_panel=PRESET, help="print the resolved preset as YAML and stop"
            ),
        ],
        False,
    ),
    "list_the_presets": (
        Annotated[
            bool,
            typer.Option(
                "--list-presets", rich_help_panel=PRESET, help="print the presets of this command and stop"
            ),
        ],
        False,
    ),
    "seed": (Annotated[int | None, typer.Option("--seed", rich_help_panel=RUN), sets("seed")], None),
    "device": (Annotated[str | None, typer.Option("--device", rich_help_panel=RUN), sets("device")], None),
    "precision": (
        Annotated[str | None, typer.Option("--precision", rich_help_panel=RUN), sets("precision")],
        None,
    ),
    "dry_run": (
        Annotated[
            bool,
            typer.Option(
                "--dry-run",
                rich_help_panel=RUN,
                help="validate everything, print the estimate, write nothing",
            ),
        ],
        False,
    ),
    "out": (
        Annotated[
            Path | None,
            typer.Option(
                "--out", metavar="DIR|FILE", rich_help_panel=OUTPUT, help="where the result is written"
            ),
        ],
        None,
    ),
    "resume": (
        Annotated[bool, typer.Option("--resume", rich_help_panel=OUTPUT, help="continue the run in --out")],
        False,
    ),
    "overwrite": (
        Annotated[bool, typer.Option("--overwrite", rich_help_panel=OUTPUT, help="replace what is in --out")],
        False,
    ),
    "json_output": (
        Annotated[
            bool, typer.Option("--json", rich_help_panel=OUTPUT, help="JSON on stdout and nothing else there")
        ],
        False,
    ),
    "quiet": (
        Annotated[
            bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="only warnings and errors")
        ],
        False,
    ),
    "verbose": (
        Annotated[bool, typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="say more")],
        False,
    ),
    "debug": (
        Annotated[bool, typer.Option("--debug", rich_help_panel=OUTPUT, help="show tracebacks")],
        False,
    ),
}


def command(model: type[P], example: str) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Make a function into a subcommand; see the head of this file.

    Args:
        model: the command's preset.
        example: a line to paste, shown at the end of its help.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        required = [parameter.name for parameter in own if parameter.default is parameter.empty]
        parameters = [_typer_parameter(parameter, model) for parameter in own]
        parameters += [
            _typer_parameter(_keyword(name, annotation, default), model)
            for name, (annotation, default) in SHARED.items()
            if name not in {parameter.name for parameter in own}
        ]
        fields = {
            parameter.name: path for parameter in parameters if (path := _field_of(parameter)) is not None
        }

        def invoke(**values: Any) -> int | None:
            call = _resolve_call(model, values, fields)
            if call is None:
                return 0
            for name in required:
                if values[name] in (None, [], ()):
                    raise UserError(
                        f"missing argument {_shown(name, parameters)}; try motionrft {model.command} --help"
                    )
            return function(call, **{parameter.name: values[parameter.name] for parameter in own})

        invoke.__name__ = function.__name__
        invoke.__doc__ = function.__doc__
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoke.example = example  # type: ignore[attr-defined]
        invoke.preset_model = model  # type: ignore[attr-defined]
        return invoke

    return decorate


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typer_parameter(parameter: inspect.Parameter, model: type[Preset]) -> inspect.Parameter:
    """The parameter as Typer shall see it: help from the preset's field, and never required at parse time."""
    annotation, default = parameter.annotation, parameter.default
    path = _field_of(parameter)
    if path is not None:
        field = field_at(model, path)
        if field is None:
            raise TypeError(f"{model.__name__} has no field {path!r} (parameter {parameter.name})")
        base, *marks = get_args(annotation)
        option = next((mark for mark in marks if isinstance(mark, ParameterInfo)), None) or typer.Option()
        if option.help is None:
            option.help = field.description
        annotation = Annotated[base, option, sets(path)]
    if default is parameter.empty:
        default = None
        annotation = _optional(annotation)
    return _keyword(parameter.name, annotation, default)


def _optional(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return Annotated[(base | None, *marks)]
    return annotation | None


def _field_of(parameter: inspect.Parameter) -> str | None:
    marks = get_args(parameter.annotation)[1:] if get_origin(parameter.annotation) is Annotated else ()
    return next((mark.path for mark in marks if isinstance(mark, sets)), None)


def _flag(name: str, parameters: list[inspect.Parameter]) -> str:
    """The flag's name as the user typed it."""
    for parameter in parameters:
        if parameter.name == name:
            for mark in get_args(parameter.annotation)[1:]:
                if isinstance(mark, OptionInfo):
                    declared = [
                        text for text in (mark.default, *(mark.param_decls or ())) if isinstance(text, str)
                    ]
                    return next(
                        (text for text in declared if text.startswith("--")), f"--{name.replace('_', '-')}"
                    )
    return f"--{name.replace('_', '-')}"


def _shown(name: str, parameters: list[inspect.Parameter]) -> str:
    parameter = next(parameter for parameter in parameters if parameter.name == name)
    marks = get_args(parameter.annotation)[1:]
    return _flag(name, parameters) if any(isinstance(mark, OptionInfo) for mark in marks) else name.upper()


def _resolve_call(model: type[P], values: dict[str, Any], fields: dict[str, str]) -> Call[P] | None:
    """Answer --list-presets or --show-preset (None), or resolve the call."""
    if values["list_the_presets"]:
        for listed in list_presets(model.command):
            typer.echo(f"{listed.name:24} {listed.purpose}".rstrip())
        return None
    out, file = values["out"], values["preset"]
    if values["resume"] and file is None and out is not None and (out / "preset.yaml").is_file():
        file = str(out / "preset.yaml")
    flags = {
        path: (f"--{name.replace('_', '-')}", values[name])
        for name, path in fields.items()
        if values[name] not in (None, [])
    }
    preset = resolve(model, file, values["settings"] or (), flags)
    if values["show_preset"]:
        typer.echo(preset.to_yaml(), nl=False)
        return None
    return Call(
        command=model.command,
        preset=preset,
        console=Console(values["json_output"], values["quiet"], values["verbose"]),
        out=out,
        resume=values["resume"],
        overwrite=values["overwrite"],
        dry_run=values["dry_run"],
        json=values["json_output"],
        debug=values["debug"],
    )
