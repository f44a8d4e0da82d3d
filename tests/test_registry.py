"""The tables: every line leads somewhere, names of other packages join, and mistakes say what there is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motionrft.diffusion.sampler import Sampler
from motionrft.errors import UserError
from motionrft.finetuning.methods.base import method_named
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.registry import KINDS, Entry, Kind
from motionrft.reward.base import RewardFamily
from tests.generators.families import TINY
from tests.generators.token_families import TINY_TOKENS

ENTRIES = [
    pytest.param(label, name, id=f"{label}-{name}") for label, kind in KINDS.items() for name in kind.table
]


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """A kind of its own with one entry, and a folder of packages before all others on the search path."""
    monkeypatch.syspath_prepend(tmp_path)
    return Kind("toy", "tests.toys", {"ours": Entry("motionrft.errors:UserError", "an error")})


def install(folder: Path, package: str, line: str, code: str = "thing = 7\n") -> None:
    """A package with one module and one entry point of the group `tests.toys`."""
    (folder / f"{package}.py").write_text(code)
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[tests.toys]\n{line}\n")
    sys.path[:] = [*sys.path, f"{folder}/"]  # another search path, as after a restart


PROMISES: dict[str, Callable[[Any, str], bool]] = {
    "generators": lambda thing, name: issubclass(thing, TextToMotion) and thing.family == name,
    "methods": lambda thing, name: method_named(name) is thing,
    "rewards": lambda thing, name: isinstance(thing, RewardFamily),
    "evaluators": lambda thing, name: callable(thing),
    "text_encoders": lambda thing, name: callable(thing),
    "samplers": lambda thing, name: (
        isinstance(thing, Sampler) and thing.adaptive is (thing.solve is not None)
    ),
    "formats": lambda thing, name: thing.name == name and all(suffix[0] == "." for suffix in thing.suffixes),
}


def test_every_kind_has_a_promise_that_its_entries_keep() -> None:
    assert set(PROMISES) == set(KINDS)


@pytest.mark.parametrize(("label", "name"), ENTRIES)
def test_every_entry_keeps_the_promise_of_its_kind_and_has_a_line_of_help(label: str, name: str) -> None:
    kind = KINDS[label]
    assert PROMISES[label](kind.load(name), name)
    assert 0 < len(kind.help_of(name)) <= 60 and "\n" not in kind.help_of(name)


def test_a_package_joins_by_its_entry_point(toys: Kind, tmp_path: Path) -> None:
    install(tmp_path, "their_toys", "theirs = their_toys:thing")
    assert toys.names() == ["ours", "theirs"] and "theirs" in toys
    assert toys.load("theirs") == 7 and toys.help_of("theirs") == "from the package their_toys"


def test_a_package_cannot_take_a_name_of_ours(toys: Kind, tmp_path: Path) -> None:
    install(tmp_path, "their_toys", "ours = their_toys:thing")
    assert toys.load("ours") is UserError


def test_two_packages_with_one_name_are_both_named(toys: Kind, tmp_path: Path) -> None:
    install(tmp_path, "one", "theirs = one:thing")
    install(tmp_path, "two", "theirs = two:thing")
    with pytest.raises(UserError, match="packages one and two both bring it"):
        toys.load("theirs")


def test_a_package_that_does_not_import_is_named_when_asked_for_and_harms_nobody_else(
    toys: Kind, tmp_path: Path
) -> None:
    install(tmp_path, "broken", "theirs = broken:thing", "import no_such_module\n")
    assert toys.load("ours") is UserError
    with pytest.raises(
        UserError, match=r"broken:thing of the package broken cannot be imported.*no_such_module"
    ):
        toys.load("theirs")


def test_a_wrong_name_is_answered_with_all_names_and_the_nearest(toys: Kind) -> None:
    with pytest.raises(UserError, match=r"no toy is called 'our'; there are ours\. Did you mean ours\?"):
        toys.load("our")


@pytest.mark.parametrize("name", ["os:system", "builtins:exit"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_no_table_imports_a_module_because_it_is_named(kind: Kind, name: str) -> None:
    with pytest.raises(UserError, match="is called"):
        kind.load(name)


def test_what_a_program_adds_is_found_first(toys: Kind) -> None:
    toys.add("ours", 1)
    toys.add("mine", 2)
    assert toys.load("ours") == 1 and toys.load("mine") == 2 and toys.names() == ["ours", "mine"]


def test_the_tables_need_no_torch() -> None:
    code = "import sys, motionrft.registry as r; [k.names() for k in r.KINDS.values()]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_is_in_a_table_is_in_its_conformance_tests_presets_and_the_readme() -> None:
    """A piece that was forgotten somewhere is told by its name."""
    root = Path(__file__).parents[1]
    readme = (root / "README.md").read_text(encoding="utf-8")
    families = {config["family"] for config in (TINY | TINY_TOKENS).values()}
    assert [name for name in KINDS["generators"].table if name not in families] == []
    methods = KINDS["methods"].table
    assert [name for name in methods if not (root / f"presets/finetune/mini-{name}.yaml").is_file()] == []
    assert [name for name in methods if f"`{name}`" not in readme] == []
