"""`motionrft check`: every thing is named, nothing is loaded, and what does not fit is said with everything else."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionrft.checking import models
from motionrft.checking.found import Found, licence
from motionrft.checking.preflight import Preflight, preflight
from motionrft.checking.preset import CheckPreset
from motionrft.checking.recognise import what_is
from motionrft.generators.folder import save_generator
from motionrft.loading import load_generator
from motionrft.training.outline import outlined
from motionrft_cli.commands import COMMANDS, preset_model
from tests.abroad.checkpoints import write_evaluator, write_generator, write_spm
from tests.abroad.layouts import HUMANML3D, KIT_ML, write_dataset
from tests.cli.conftest import Result, run  # noqa: F401
from tests.fuzz import seeds
from tests.generators.families import TINY, tiny

Run = Callable[..., Result]
PRESETS = {name: (lambda name=name: preset_model(name)) for name in COMMANDS}
THINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "motion.npy": (lambda at: np.save(at, seeds.features()), "motion"),
    "bvh": (seeds.bvh, "motion"),
    "amass": (seeds.bodies, "motion"),
    "data": (seeds.data_set, "data set"),
    "ours": (seeds.generator, "generator"),
    "our-reward": (seeds.reward, "reward"),
    "items": (seeds.items, "evaluation items"),
    "mdm": (seeds.official_generator("mdm"), "generator"),
    "hymotion": (seeds.official_generator("hymotion"), "generator"),
    "spm": (seeds.REWARDS["spm"], "reward"),
    "tmr": (seeds.REWARDS["tmr"], "reward"),
    "guo": (seeds.guo, "evaluator"),
    "run": (seeds.run, "run folder"),
    "pairs": (seeds.pairs, "preference pairs"),
    "prompts": (seeds.prompts, "prompts"),
    "captions": (seeds.captions, "captions"),
    "cuts": (seeds.cuts, "cuts of motions"),
    "splits": (seeds.splits, "splits of clips"),
    "map": (seeds.joint_map, "joint map"),
    "preset.yaml": (lambda at: at.write_text("method: draft\nsteps: 20\n"), "preset of finetune"),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each thing, and some that are none."""
    root = tmp_path_factory.mktemp("everything")
    for name, (write, _) in THINGS.items():
        if "." not in name:
            (root / name).mkdir()
        write(root / name)
    (root / "notes.md").write_text("mine")
    return root


@pytest.fixture(scope="module")
def seen(everything: Path) -> list[Found]:
    """What is said of it."""
    return found_in(everything)


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HumanML3D's and KIT-ML's data sets with a generator, a reward and an evaluator of each."""
    root = tmp_path_factory.mktemp("abroad")
    for name, layout in (("h3d", HUMANML3D), ("kit", KIT_ML)):
        data = write_dataset(layout, root / name / "data")
        write_generator("mdm", data, layout, root / name / "generator")
        write_spm(data, layout, root / name / "reward")
        write_evaluator(data, layout, root / name / "evaluators")
    return root


def found_in(folder: Path) -> list[Found]:
    return list(what_is(folder, PRESETS))


@pytest.mark.parametrize("name", THINGS)
def test_a_folder_of_everything_names_each(everything: Path, seen: list[Found], name: str) -> None:
    kinds = {found.kind for found in seen if (everything / name) in (found.path, *found.path.parents)}
    assert THINGS[name][1] in kinds


def test_nothing_good_is_called_bad(seen: list[Found]) -> None:
    assert [found.problem for found in seen if found.problem] == []


def test_what_is_nothing_is_passed_over_in_a_folder_and_told_when_named(
    everything: Path, seen: list[Found]
) -> None:
    assert all(found.path.name != "notes.md" for found in seen)
    (named,) = what_is(everything / "notes.md", PRESETS)
    assert named.kind == "" and "nothing that motionrft reads" in str(named.problem)


def test_facts_are_the_things_own(everything: Path, seen: list[Found]) -> None:
    facts = {found.path.relative_to(everything).as_posix(): found.facts for found in seen}
    motion = facts["motion.npy"]
    assert (motion["representation"], motion["frames"], motion["values_a_frame"]) == ("kinematic", 23, 263)
    assert facts["ours/model"]["family"] == "mld" and facts["ours/model"]["fps"] == 20
    assert facts["mdm/model000000000.pt"]["project"] == "MDM"
    assert facts["hymotion/latest.ckpt"]["representation"] == "rotation"
    assert facts["spm/spm_M1T0.pth"]["noise_mode"] == "M1T0"
    assert facts["data"]["splits"] == {"train": 2} and facts["data"]["licence"] == "none"
    assert facts["run/run"]["checkpoints"] == [1, 2]
    assert facts["pairs/pairs.jsonl"]["kinds"] == {"x": 1}


def test_a_damaged_thing_is_named_and_the_others_too(everything: Path, tmp_path: Path) -> None:
    seeds.generator(tmp_path)
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "page.npy").write_text("<!doctype html>")
    (tmp_path / "pairs.jsonl").write_text('{"better": "gone.npy", "worse": "gone.npy"}\n')
    (tmp_path / "fine.npy").write_bytes((everything / "motion.npy").read_bytes())
    problems = {found.path.name: found.problem for found in found_in(tmp_path)}
    assert "truncated" in str(problems["model"]) and "cut.ckpt" in str(problems["cut.ckpt"])
    assert "web page" in str(problems["page.npy"]) and "gone.npy" in str(problems["pairs.jsonl"])
    assert problems["fine.npy"] is None


@pytest.mark.parametrize("name", TINY)
def test_an_outline_says_what_the_whole_says(tmp_path: Path, name: str) -> None:
    save_generator(tiny(name), tmp_path / "model")
    whole, outline = load_generator(tmp_path / "model"), models.outline_generator(tmp_path / "model")
    assert models.generator_facts(outline) == models.generator_facts(whole)
    assert {p.device.type for p in outline.tuned.parameters()} == {"meta"}


def test_an_outline_is_one_whatever_torch_learned_of_devices_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers, loading a model, hides `torch.linspace` from the list of functions that devices apply to."""
    save_generator(tiny("acmdm"), tmp_path / "model")
    known = torch.utils._device._device_constructors() - {torch.linspace}
    monkeypatch.setattr(torch.utils._device, "_device_constructors", lambda: known)
    outline = models.outline_generator(tmp_path / "model")
    assert {p.device.type for p in (*outline.tuned.parameters(), *outline.tuned.buffers())} == {"meta"}
    assert load_generator(tmp_path / "model").device == torch.device("cpu")


def test_an_outline_ends_with_its_context(tmp_path: Path) -> None:
    save_generator(tiny("mdm"), tmp_path / "model")
    with outlined():
        pass
    assert next(load_generator(tmp_path / "model").parameters()).device == torch.device("cpu")


def test_a_licence_is_what_the_folder_says(tmp_path: Path) -> None:
    assert licence(tmp_path) is None
    (tmp_path / "LICENSE").write_text("\nMIT License\n\nwords\n")
    assert licence(tmp_path) == "MIT License (LICENSE)"
    (tmp_path / "README.md").write_text("# A model\n\n## Licence\n\nCC BY 4.0,\nas its data.\n")
    assert licence(tmp_path) == "CC BY 4.0, as its data."


def flight(place: Path, **given: str) -> Preflight:
    """The preflight of parts below `place`."""
    return preflight(CheckPreset.of({name: str(place / path) for name, path in given.items()}))


def test_parts_of_one_data_set_pass(abroad: Path) -> None:
    found = flight(
        abroad,
        data="kit/data",
        reward="kit/reward/spm_M1T0.pth",
        evaluator="kit/evaluators/kit",
        generator="kit/generator",
    )
    assert [
        said for said in found.problems if "text encoder" not in said
    ] == []  # tests have none of the published
    assert found.parts["data"]["skeleton"] == "KIT-ML"


@pytest.mark.parametrize("part", ["data", "reward", "evaluator"])
def test_another_skeleton_is_told_before_anything_is_loaded(
    abroad: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import torch as loading

    monkeypatch.setattr(loading, "load_file", lambda *_, **__: pytest.fail("weights were loaded"))
    other = {"data": "kit/data", "reward": "kit/reward/spm_M1T0.pth", "evaluator": "kit/evaluators/kit"}[part]
    found = flight(abroad, generator="h3d/generator", **{part: other})
    said = " ".join(found.problems)
    assert "differ" in said and "251" in said and "263" in said and other in said


def test_every_fault_is_told_at_once(abroad: Path, tmp_path: Path) -> None:
    preset = tmp_path / "run.yaml"
    preset.write_text("weights: {semantic: 1, prefrence: 1, similarity: 1}\nvalidation_split: dev\n")
    values = {"finetune": str(preset), "data": str(abroad / "kit/data"), "reward": str(tmp_path / "gone")}
    found = preflight(CheckPreset.of({**values, "reward": "builtin"}))
    said = "\n".join(found.problems)
    assert "'prefrence'" in said and "values a frame differ" in said and "no split 'dev'" in said
    assert "gone" in "\n".join(preflight(CheckPreset.of(values)).problems)


@pytest.mark.parametrize(
    ("method", "settings", "complaint"),
    [
        ("easytune", "method: {judge: next}", "was never trained on noisy motions"),
        ("ddpo", "eta: 0", "learns from stochastic steps"),
        ("sft", "", "name a data set"),
    ],
)
def test_a_method_that_cannot_use_the_parts(
    tmp_path: Path, method: str, settings: str, complaint: str
) -> None:
    preset = tmp_path / "run.yaml"
    preset.write_text(settings + "\n")
    found = preflight(CheckPreset.of({"finetune": str(preset), "method": method}))
    assert any(complaint in problem for problem in found.problems), found.problems


def test_memory_is_told_at_the_full_number_of_prompts() -> None:
    found = preflight(CheckPreset.of({"finetune": "mini-easytune"}))
    assert found.problems == [] and found.run["prompts"] == 412
    memory = found.run["memory"]
    together = memory.pop("together, before the first update")
    memory.pop("text features on disk")
    assert together == pytest.approx(sum(memory.values()), abs=0.1)
    whole = load_generator("builtin")
    assert memory["generator"] == pytest.approx(
        sum(t.numel() * t.element_size() for t in (*whole.parameters(), *whole.buffers())) / 2**20, abs=0.01
    )


def test_codes_and_documents(run: Run, everything: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "bad.npy").write_bytes(b"")
    good, bad = str(everything / "motion.npy"), str(tmp_path / "bad.npy")
    assert run("check", good).code == 0
    one = run("check", bad)
    assert one.code == 2 and one.err.startswith(f"error: {bad}") and one.err.count("\n") == 1
    both = run("check", str(everything / "*.npy"), bad, "--json")
    documents = [json.loads(line) for line in both.out.splitlines()]
    assert both.code == 3 and [document["kind"] for document in documents] == ["motion", "motion"]
    assert documents[1]["problem"] and not documents[0]["problem"]
    many = run("check", str(everything))
    assert many.code == 0 and "run folder" in many.err
    flown = run("check", "--generator", "builtin", "--reward", "builtin", "--json")
    assert flown.code == 0 and json.loads(flown.out)["run"]["missing_terms"] == []
    assert run("check", good, "--out", str(tmp_path / "o")).code == 2


def test_without_arguments_the_environment_is_told(run: Run) -> None:  # noqa: F811
    document = json.loads(run("check", "--json").out)
    assert document["kind"] == "environment" and document["packages"]["torch"] == torch.__version__
    assert "cpu" in document["devices"] and set(document["extras"]) >= {"mini", "viz"}
    assert document["text_encoders"]["minilm"]


@pytest.mark.parametrize(("name", "count"), [("builtin", 3), ("builtin-world", 3), ("builtin-tokens", 1)])
def test_what_travels_with_the_package_is_named_by_its_word(name: str, count: int) -> None:
    found = list(what_is(Path(name), PRESETS))
    assert len(found) == count and not any(each.problem for each in found)
