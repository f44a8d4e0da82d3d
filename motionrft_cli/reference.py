"""`python -m motionrft_cli.reference`: the page of every setting, presets/README.md, on stdout."""

import inspect
import sys

from motionrft.settings.reference import reference
from motionrft_cli.commands import COMMANDS, load_function, preset_model
from motionrft_cli.signature import field_of, flag_of


def settings_page() -> str:
    """The page, with the flags of the commands as they are."""
    return reference({name: (preset_model(name), _flags(name)) for name in COMMANDS})


def _flags(command: str) -> dict[str, str]:
    """Dotted path -> the flag that sets it."""
    marked = inspect.signature(load_function(command)).parameters.values()
    return {path: flag_of(each) for each in marked if (path := field_of(each)) is not None}


if __name__ == "__main__":
    sys.stdout.write(settings_page())
