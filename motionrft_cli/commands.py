"""The commands by name, in the order of the pipeline; a command's file is imported when it is asked for."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand

COMMANDS = {
    "convert": "Motions between representations and file formats; data sets; official checkpoints.",
    "pretrain": "Train the base generator by ordinary supervision.",
    "train-reward": "Train a reward that judges motions in any representation.",
    "refine-spl": "Refine a reward on its own mistakes (self-refinement preference learning).",
    "finetune": "Fine-tune a generator by reward. The main job.",
    "sample": "Make motions from text.",
    "score": "Judge motion files with a reward and with physics.",
    "eval": "Evaluate by the field's protocols.",
}


def load_function(name: str) -> Any:
    """The function of a command, from the file that has the same name."""
    function_name = name.replace("-", "_")
    return getattr(importlib.import_module(f"motionrft_cli.{function_name}"), function_name)


def load_command(name: str) -> TyperCommand:
    """Import one command's file and build its Typer command."""
    function = load_function(name)
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    settings = {"help_option_names": ["-h", "--help"]}
    app.command(name, epilog=f"Example: {function.example}", context_settings=settings)(function)
    built: Any = typer.main.get_command(app)
    return built
