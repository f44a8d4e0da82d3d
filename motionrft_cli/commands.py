"""The commands by name, in the order of the pipeline; a command's file is imported when it is asked for."""

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from motionrft.settings.base import Preset


@dataclass(frozen=True)
class Command:
    """help: one line. preset: where the command's settings are, `module:Class`, free of torch."""

    help: str
    preset: str


COMMANDS = {
    "check": Command(
        "Say what files and folders are, and whether they fit together.",
        "motionrft.checking.preset:CheckPreset",
    ),
    "convert": Command(
        "Motions between representations and file formats; data sets; official checkpoints.",
        "motionrft.files.preset:ConvertPreset",
    ),
    "pretrain": Command(
        "Train the base generator by ordinary supervision.", "motionrft.pretraining.preset:PretrainPreset"
    ),
    "train-reward": Command(
        "Train a reward that judges motions in any representation.",
        "motionrft.reward.motionreward.preset:TrainRewardPreset",
    ),
    "refine-spl": Command(
        "Refine a reward on its own mistakes (self-refinement preference learning).",
        "motionrft.reward.spl.spl_preset:RefineSplPreset",
    ),
    "prefer": Command(
        "Make preference pairs: prompts of events, candidates, a judge.",
        "motionrft.preferences.preset:PreferPreset",
    ),
    "finetune": Command(
        "Fine-tune a generator by reward. The main job.", "motionrft.finetuning.preset:FinetunePreset"
    ),
    "sample": Command("Make motions from text.", "motionrft.generators.preset:SamplePreset"),
    "score": Command(
        "Judge motion files with a reward and with physics.", "motionrft.reward.score_preset:ScorePreset"
    ),
    "eval": Command("Evaluate by the field's protocols.", "motionrft.evaluation.preset:EvalPreset"),
    "merge": Command(
        "Put the shares of a job array together.", "motionrft.evaluation.merge_preset:MergePreset"
    ),
}


def preset_model(name: str) -> type[Preset]:
    """The settings of a command."""
    module, _, attribute = COMMANDS[name].preset.partition(":")
    model: type[Preset] = getattr(importlib.import_module(module), attribute)
    return model


def load_function(name: str) -> Any:
    """The function of a command, from the file that has the same name."""
    function_name = name.replace("-", "_")
    return getattr(importlib.import_module(f"motionrft_cli.{function_name}"), function_name)


def load_command(name: str) -> TyperCommand:
    """Import one command's file and build its Typer command."""
    app = typer.Typer(add_completion=False)
    app.command(name, cls=_Explained, context_settings={"help_option_names": ["-h", "--help"]})(
        load_function(name)
    )
    built: Any = typer.main.get_command(app)
    return built


class _Explained(TyperCommand):
    """A command whose help is ours."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text, as wide as the terminal."""
        from motionrft_cli.help import command_help, terminal_width

        function = load_function(str(self.name))
        text = function.__doc__ or ""
        formatter.write(
            command_help(str(self.name), text, function.options, function.examples, terminal_width())
        )
