'''What every subcommand shares: the options of "Everywhere", and how a preset becomes a call.

A command file holds one function. Its first parameter is the `Call`; the others are its own arguments and
flags, in Typer's notation. `@command` adds the shared options, resolves the preset (flag > --set >
environment > file > defaults) and answers --show-preset and --list-presets without importing anything
heavy. At the top of the file only torch-free imports are allowed; the rest is imported inside the function.
A complete command file:

    """score: judge motion files with a reward."""

    from typing import Annotated

    import typer

    from motionrft.reward.score_preset import ScorePreset
    from motionrft_cli.options import Call, command, sets


    @command(ScorePreset, "motionrft score out/*.npy --terms semantic,physics --json")
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

and its preset model, `motionrft/reward/score_preset.py`:

    class ScorePreset(Preset):
        command: ClassVar[str] = "score"
        reward: str = Field("builtin", description="reward folder, or builtin")

Rules of the pattern
- The file is motionrft_cli/<name with underscores>.py and the function has the same name: `train_reward.py`,
  `def train_reward`, command `train-reward`. Its line in `motionrft_cli/commands.py`'s COMMANDS exists already.
- `sets("a.b")` marks a flag that writes the preset field `a.b`: read `call.preset.a.b`, not the parameter.
  Its help is the field's description. Combine it with `typer.Option("--lr", ...)` for another flag name;
  the parameter's default must be None, so that "not given" is known.
- A parameter without default is required; this is checked after --show-preset and --list-presets.
- A preset that is a `ReadingPreset` brings the options of `motionrft_cli.reading` (--up, --unit, --source-fps, …);
  the command reads files with `call.preset.reading_options(fps)`.
- `seed`, `device` and `precision` are fields of every preset, set by their flags; `call.device()` and
  `call.dtype()` give torch's objects.
- Return None or 0 when done, 3 when some inputs were skipped. Raise `UserError` (exit 2) for wrong input,
  `RunError` (exit 1) for a run that failed, `Interrupted` (75, 130) for one that was stopped: never print a
  traceback, never call sys.exit, never catch KeyboardInterrupt to hide it.
- `call.output_folder()` checks --out (exists, is a file, read-only) before any compute.
- With --resume and no --preset, the preset is the one in OUT/preset.yaml.
'''

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from motionrft.errors import UserError
from motionrft.files.reading_preset import ReadingPreset
from motionrft.settings.base import Preset
from motionrft.settings.commented import commented_yaml
from motionrft.settings.discovery import list_presets
from motionrft.settings.fields import changed_fields
from motionrft.settings.layers import resolve
from motionrft_cli import collecting
from motionrft_cli.console import Console
from motionrft_cli.described import Described, described
from motionrft_cli.outputs import check_output_folder, cleaned
from motionrft_cli.processes import speaks
from motionrft_cli.reading import READING
from motionrft_cli.resuming import check_allowed
from motionrft_cli.shared import SHARED
from motionrft_cli.signature import field_of, flag_of, keyword, sets, typer_parameter

if TYPE_CHECKING:
    import torch

__all__ = ["Call", "command", "sets"]

P = TypeVar("P", bound=Preset)
Values = dict[str, Any]


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
        return self._device

    @cached_property
    def _device(self) -> "torch.device":
        from motionrft.training.devices import resolve_device

        found = resolve_device(self.preset.device, self.console.hold)
        collecting.as_usual()  # torch is imported
        return found

    def dtype(self) -> "torch.dtype":
        """The number format of --precision on that device."""
        from motionrft.training.devices import resolve_precision

        return resolve_precision(self.preset.precision, self.device())

    def output_folder(self) -> Path:
        """--out as a folder that may be written to; raises `UserError` otherwise."""
        if self.out is not None and not speaks():
            return self.out  # the first process may have created it already
        return cleaned(check_output_folder(self.out, self.resume, self.overwrite))


Only = Mapping[str, tuple[tuple[Any, ...], str]]
"""Field of all commands -> the values that are true of this one, and why no other is."""


def command(
    model: type[P], example: str, *more: str, only: Only | None = None
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Make a function into a subcommand; see the head of this file.

    Args:
        model: the command's preset.
        example, more: lines to paste, shown at the end of its help; each fits into 78 columns, and a test runs it.
        only: what is refused where it would do nothing: `{"precision": (("auto", "fp32"), "computes in fp32")}`.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        names = {parameter.name for parameter in own}
        offered = {**(READING if issubclass(model, ReadingPreset) else {}), **SHARED}
        shared = [keyword(name, *declared) for name, declared in offered.items() if name not in names]
        parameters = {each.name: typer_parameter(each, model) for each in (*own, *shared)}
        required = [parameters[each.name] for each in own if each.default is each.empty]

        def invoke(**values: Any) -> int | None:
            if values["list_the_presets"]:
                return _list(model)
            if values["explain"] is not None:
                return _explain(model, values["explain"], invoke.options, values["json_output"])  # type: ignore[attr-defined]
            preset = _preset_of(model, values, parameters)
            _check_only(only or {}, preset, values)
            check_allowed(values.get("allow_changed") or (), model, values["out"])
            if values["show_preset"]:
                typer.echo(commented_yaml(preset), nl=False)
                return 0
            for parameter in required:
                if values[parameter.name] in (None, [], ()):
                    raise UserError(f"missing {flag_of(parameter)}; try motionrft {model.command} --help")
            call = _call(preset, values)
            for name, value in changed_fields(preset):
                call.console.detail(f"{name}: {value}")
            if preset.device not in ("auto", "cpu"):
                call.device()  # a device that is not there is told before anything is read
            return function(call, **{name: values[name] for name in names})

        invoke.__name__ = function.__name__
        invoke.__doc__ = function.__doc__
        invoke.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        invoke.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
        invoke.examples = (example, *more)  # type: ignore[attr-defined]
        usual = model()
        invoke.options = tuple(described(each, model, usual) for each in parameters.values())  # type: ignore[attr-defined]
        return invoke

    return decorate


def _explain(model: type[Preset], key: str, options: Sequence[Described], as_json: bool) -> int:
    from motionrft_cli.explain import explain, plain, way_to_set

    found = explain(key, model, options)
    if as_json:
        Console(json_output=True).emit({"key": found[0].key, "meanings": plain(found)})
        return 0
    lines = [line for each in found for line in each.lines()]
    settable = not found[0].key.startswith("-") and not found[0].parts
    typer.echo("\n".join([*lines, *([f"  set by:  {way_to_set(found[0].key)}"] if settable else [])]))
    return 0


def _check_only(only: Only, preset: Preset, values: Values) -> None:
    """Refuse what was typed and would do nothing; the environment speaks to all commands, and may."""
    typed = {setting.partition("=")[0].strip() for setting in values["settings"] or ()}
    typed |= {name for name in only if values.get(name) is not None}
    for name, (legal, reason) in only.items():
        value = getattr(preset, name)
        if name in typed and value not in legal:
            raise UserError(f"--{name} {value}: {preset.command} {reason}.")


def _list(model: type[Preset]) -> int:
    for listed in list_presets(model.command):
        typer.echo(f"{listed.name:24} {listed.purpose}".rstrip())
    return 0


def _preset_of(model: type[P], values: Values, parameters: Mapping[str, inspect.Parameter]) -> P:
    file, out = values["preset"], values["out"]
    if values["resume"] and file is None and out is not None and (out / "preset.yaml").is_file():
        file = str(out / "preset.yaml")
    flags = {
        path: (flag_of(parameter), values[name])
        for name, parameter in parameters.items()
        if (path := field_of(parameter)) is not None and values[name] not in (None, [])
    }
    return resolve(model, file, values["settings"] or (), flags)


def _call(preset: P, values: Values) -> Call[P]:
    return Call(
        command=preset.command,
        preset=preset,
        console=Console(
            values["json_output"] and speaks(), values["quiet"] or not speaks(), values["verbose"]
        ),
        out=values["out"],
        resume=values["resume"],
        overwrite=values["overwrite"],
        dry_run=values["dry_run"],
        json=values["json_output"],
        debug=values["debug"],
    )
