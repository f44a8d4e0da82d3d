"""Where preset files lie: MOTIONRFT_PRESET_PATH, then the folder shipped with the package."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from motionrft.errors import UserError

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Listed:
    """A preset on the shelf: its name, its file and the first comment line of that file."""

    name: str
    path: Path
    purpose: str


def shipped_folder() -> Path:
    """The presets that travel with the package.

    An installed wheel has them beside this file; in a checkout they are the top-level folder `presets/`.
    """
    here = Path(__file__).resolve().parent
    installed = here / "shipped"
    return installed if installed.is_dir() else here.parents[1] / "presets"


def search_folders(command: str, environment: Mapping[str, str] | None = None) -> list[Path]:
    """Folders looked through for the presets of one command, the user's first."""
    environment = os.environ if environment is None else environment
    parts = environment.get("MOTIONRFT_PRESET_PATH", "").split(os.pathsep)
    own = [Path(part).expanduser() for part in parts if part]
    return [folder for root in own for folder in (root / command, root)] + [shipped_folder() / command]


def list_presets(command: str, environment: Mapping[str, str] | None = None) -> list[Listed]:
    """Every preset of a command, by name; the first of equal names is the one `--preset` takes."""
    found: dict[str, Listed] = {}
    for path in _files(command, environment):
        found.setdefault(path.stem, Listed(path.stem, path, purpose_of(path)))
    return [found[name] for name in sorted(found)]


def _files(command: str, environment: Mapping[str, str] | None) -> Iterator[Path]:
    for folder in search_folders(command, environment):
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def purpose_of(path: Path) -> str:
    """The first comment line of a preset file says what it is for."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                return line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else ""
    return ""


def find_preset(command: str, name: str, environment: Mapping[str, str] | None = None) -> Path:
    """The file of `--preset NAME_OR_FILE`.

    Raises:
        UserError: there is none; names the nearest ones.
    """
    looks_like_file = os.sep in name or name.endswith(SUFFIXES)
    if not looks_like_file:
        for listed in list_presets(command, environment):
            if listed.name == name:
                return listed.path
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"--preset {name}: is a folder; name a YAML file or a preset")
    if looks_like_file:
        raise UserError(f"--preset {name}: there is no such file")
    names = [listed.name for listed in list_presets(command, environment)]
    close = get_close_matches(name, names, n=3, cutoff=0.4)
    known = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names) or 'none'}."
    raise UserError(f"--preset {name}: motionrft {command} has no preset of that name. {known}")
