"""Imports flow one way, and help is quick because it loads nothing heavy."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import motionrft
import motionrft_cli
from motionrft_cli.commands import COMMANDS
from tests.cli.conftest import clean_environment

ROOT = Path(motionrft.__file__).parent
CLI = Path(motionrft_cli.__file__).parent

FLOORS = [
    ["errors", "lazy", "plurals", "sequences", "strings"],
    [
        "registry",
        "parsing",
        "settings",
        "lengths",
        "linear",
        "moving",
        "rotations",
        "skeleton",
        "intervals",
        "builtin",
    ],
    ["fused", "transformer", "diffusion", "training"],
    ["representations", "text", "pictures"],
    ["physics", "report", "files", "generators"],
    ["data"],
    ["reward"],
    ["official"],
    ["loading"],
    ["preferences"],
    ["evaluation"],
    ["finetuning", "pretraining"],
    ["api", "checking"],
    ["motionrft_cli"],
]
"""From the ground up. A room is a folder, or a file beside them; it imports from below and from its own floor."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = ["torch", "numpy", "transformers", "peft", "scipy", "safetensors", "PIL", "matplotlib"]


def room_of(module: str) -> str:
    """`motionrft.files.bvh` is in the room `files`; the command line is one room."""
    parts = module.split(".")
    return parts[0] if parts[0] == "motionrft_cli" else ".".join(parts[1:2])


def imported_modules(file: Path) -> Iterator[str]:
    """Every import statement of a file, also those inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where a name comes from"
            for name in node.names:
                yield f"{node.module}.{name.name}" if node.module == "motionrft" else str(node.module)


def imported_files(file: Path) -> Iterator[str]:
    """As `imported_modules`, with every imported name as a module of its own besides: it may be one."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
    yield from imported_modules(file)


def ours(file: Path) -> set[str]:
    """The rooms of ours that a file imports from."""
    rooms = {
        room_of(name)
        for name in imported_modules(file)
        if name.split(".")[0] in {"motionrft", "motionrft_cli"}
    }
    return rooms - {"", "__version__"}


def rooms() -> dict[str, list[Path]]:
    """Every room of the library with its files."""
    found: dict[str, list[Path]] = {}
    for file in sorted(ROOT.rglob("*.py")):
        first = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if first != "__init__":
            found.setdefault(first, []).append(file)
    return found


def test_every_room_has_one_floor_and_every_floor_is_inhabited() -> None:
    named = [room for floor in FLOORS for room in floor]
    assert sorted(named) == sorted([*rooms(), "motionrft_cli"])


def test_imports_never_go_upwards() -> None:
    upwards = [
        f"{file.relative_to(ROOT)} (floor {FLOOR_OF[room]}) imports {other} (floor {FLOOR_OF[other]})"
        for room, files in rooms().items()
        for file in files
        for other in ours(file) - {room}
        if FLOOR_OF[other] > FLOOR_OF[room]
    ]
    assert upwards == []


def test_rooms_form_no_circle() -> None:
    graph = {
        room: {other for file in files for other in ours(file)} - {room} for room, files in rooms().items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_no_two_files_of_a_room_share_a_name() -> None:
    files = {**rooms(), "motionrft_cli": sorted(CLI.rglob("*.py"))}
    names = {
        room: Counter(file.name for file in inside if file.name != "__init__.py")
        for room, inside in files.items()
    }
    assert [
        (room, name) for room, counts in names.items() for name, count in counts.items() if count > 1
    ] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {
        ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for folder in (ROOT, CLI)
        for file in folder.rglob("*.py")
    }
    graph = {name: (set(imported_files(file)) & files.keys()) - {name} for name, file in files.items()}
    TopologicalSorter(graph).prepare()


def test_the_library_never_imports_the_command_line_and_never_prints() -> None:
    wrong = []
    for file in sorted(ROOT.rglob("*.py")):
        if any(name.split(".")[0] in {"motionrft_cli", "typer", "rich"} for name in imported_modules(file)):
            wrong.append(f"{file.relative_to(ROOT)} imports the command line's tools")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} prints")
    assert wrong == []


def test_no_help_and_no_preset_loads_anything_heavy() -> None:
    """One process imports every preset module and asks for every help; afterwards nothing heavy is loaded."""
    script = f"""
import os, sys
from motionrft_cli.commands import preset_model
from motionrft_cli.main import run
for name in {list(COMMANDS)}:
    preset_model(name)
sys.stdout = open(os.devnull, "w")
for arguments in [[], ["--version"], *[[name, flag] for name in {list(COMMANDS)} for flag in
                  ("--help", "--list-presets", "--show-preset")]]:
    assert run(arguments) == 0, arguments
    found = [name for name in {HEAVY} if name in sys.modules]
    assert not found, (arguments, found)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=clean_environment(), timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", sorted(CLI.glob("*.py")), ids=lambda path: path.stem)
def test_command_files_import_nothing_heavy_at_their_top(file: Path) -> None:
    top = ast.parse(file.read_text(encoding="utf-8")).body
    names = [
        name
        for node in top
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    assert [name for name in names if name.split(".")[0] in HEAVY] == []
