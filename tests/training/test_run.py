"""The run folder: never clobbered, one process at a time, always resumable (faults 15, 16, 17, 20, 21)."""

import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from motionrft.errors import RunError, UserError
from motionrft.training import run as run_file
from motionrft.training.atomic import write_text
from motionrft.training.changes import changed_keys
from motionrft.training.run import RunFolder
from motionrft.training.weights import write_manifest
from tests.training.toys import in_child

PRESET = {"lr": 0.1, "optimiser": {"clip": 1.0, "betas": [0.9, 0.99]}}


def _state(step: int) -> dict:
    return {"step": step, "weights": torch.full((2000,), float(step))}


def _files(path: Path) -> set[str]:
    return {child.name for child in path.iterdir()}


def test_a_run_leaves_these_files(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {"device": "cpu"}, identity={"data": "d1"}) as folder:
        folder.append_metrics({"update": 1, "loss": float("nan"), "reward/x": 0.5})
        folder.save_checkpoint(1, _state(1))
    assert _files(tmp_path / "run") == {
        *("preset.yaml", "env.json", "metrics.jsonl", "checkpoints", "LATEST", ".written")
    }
    assert json.loads((tmp_path / "run" / "env.json").read_text())["hashes"] == {"data": "d1"}
    assert folder.read_metrics() == [{"update": 1, "loss": None, "reward/x": 0.5}]
    assert (tmp_path / "run" / "LATEST").read_text() == "step-1\n"


def test_changed_validation_motions_are_refused_but_not_asked_of_an_older_run(tmp_path: Path) -> None:
    both = {"data": "d1", "validation": "v1"}
    RunFolder.open(tmp_path / "old", PRESET, {}, identity={"data": "d1"}).close()
    RunFolder.open(tmp_path / "old", PRESET, {}, resume=True, identity=both).close()
    RunFolder.open(tmp_path / "new", PRESET, {}, identity=both).close()
    RunFolder.open(
        tmp_path / "new", PRESET, {}, resume=True, identity={"data": "d1"}
    ).close()  # looks at nothing now
    RunFolder.open(tmp_path / "new", PRESET, {}, resume=True, identity=both).close()
    with pytest.raises(UserError, match="validation: v1 -> v2"):
        RunFolder.open(tmp_path / "new", PRESET, {}, resume=True, identity=both | {"validation": "v2"})


@pytest.mark.parametrize("allowed", ["validation", "data"])
def test_a_changed_validation_split_is_allowed_by_its_name_or_with_the_data(
    tmp_path: Path, allowed: str
) -> None:
    RunFolder.open(tmp_path, PRESET, {}, identity={"data": "d1", "validation": "v1"}).close()
    changed = {"data": "d1" if allowed == "validation" else "d2", "validation": "v2"}
    RunFolder.open(tmp_path, PRESET, {}, resume=True, identity=changed, allow_changed=[allowed]).close()


def test_an_existing_run_needs_a_word(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", PRESET, {}).close()
    with pytest.raises(UserError, match="--resume to go on"):
        RunFolder.open(tmp_path / "run", PRESET, {})
    folder = RunFolder.open(tmp_path / "run", {"lr": 5}, {}, overwrite=True)
    assert not folder.resumed and folder.load_latest() is None


def test_overwrite_never_deletes_what_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for flags in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(UserError, match="no run folder"):
            RunFolder.open(tmp_path, PRESET, {}, **flags)
    assert _files(tmp_path) == {"thesis.txt"}


@pytest.mark.parametrize("mark", ["preset.yaml", "env.json"])
def test_overwrite_never_deletes_a_folder_with_a_file_called_like_a_runs(tmp_path: Path, mark: str) -> None:
    (tmp_path / "src").mkdir()
    for name in ("thesis.tex", "src/main.py", mark):
        (tmp_path / name).write_text("{}")
    for flags in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(UserError, match="no run folder"):
            RunFolder.open(tmp_path, PRESET, {}, **flags)
    assert _files(tmp_path) == {"thesis.tex", "src", mark} and (tmp_path / "src" / "main.py").is_file()


@pytest.mark.parametrize("listed", [True, False], ids=["with its list", "of an older version"])
def test_overwrite_deletes_what_the_run_wrote_and_names_the_rest(tmp_path: Path, listed: bool) -> None:
    path = tmp_path / "run"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "plot.svg").write_text("mine")
    with RunFolder.open(path, PRESET, {}) as folder:
        folder.append_metrics({"update": 1})
        folder.save_checkpoint(1, _state(1))
        write_text(path / "plots" / "plot.svg", "the run's")
    for name in ("notes.txt", "checkpoints/mine.txt", "plots/mine.svg", "weights.old/x", "draft.tmp/x"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("mine")
    (path / "link").symlink_to(tmp_path / "outside")
    with (path / ".written").open("a") as file:
        file.write("../outside/plot.svg\nlink/plot.svg\n")
    if not listed:
        (path / ".written").unlink()
    with RunFolder.open(path, PRESET, {}, overwrite=True) as folder:
        assert folder.load_latest() is None and not folder.read_metrics()
    files = [each for each in path.rglob("*") if each.is_file()]
    left = {each.relative_to(path).as_posix() for each in files if each.read_bytes() == b"mine"}
    assert {"notes.txt", "checkpoints/mine.txt", "plots/mine.svg", "weights.old/x", "draft.tmp/x"} <= left
    assert (tmp_path / "outside" / "plot.svg").read_text() == "mine"
    assert (path / "plots" / "plot.svg").exists() is not listed
    assert "notes.txt" in folder.warnings[0] and "no run wrote them" in folder.warnings[0]


def test_places_that_cannot_be_used_are_refused_before_compute(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError):
            RunFolder.open(path, PRESET, {})
    with pytest.raises(UserError, match="no run to resume"):
        RunFolder.open(tmp_path / "nowhere", PRESET, {}, resume=True)
    assert _files(tmp_path) == {"file"}


def test_read_only_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        RunFolder.open(tmp_path / "run", PRESET, {})


def test_resume_with_a_changed_preset_or_data_names_the_keys(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", PRESET, {}, identity={"data": "d1"}).close()
    changed = {"lr": 0.2, "optimiser": {"clip": 1.0, "betas": (0.9, 0.999)}}
    with pytest.raises(UserError) as caught:
        RunFolder.open(tmp_path / "run", changed, {}, resume=True, identity={"data": "d2"})
    message = str(caught.value)
    assert "lr: 0.1 -> 0.2" in message and "optimiser.betas" in message and "data: d1 -> d2" in message
    assert "clip" not in message and "--allow-changed" in message
    with RunFolder.open(
        tmp_path / "run",
        changed,
        {},
        resume=True,
        identity={"data": "d2"},
        allow_changed=["lr", "optimiser", "data"],
    ) as folder:
        assert folder.resumed


def test_tuples_and_lists_are_the_same_preset(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", {"betas": [0.9, 0.99], "none": None, "map": {}}, {}).close()
    RunFolder.open(tmp_path / "run", {"betas": (0.9, 0.99), "none": None, "map": {}}, {}, resume=True).close()


def test_changed_keys_see_missing_ones() -> None:
    assert changed_keys({"a": 1, "b": {"c": None}}, {"a": 1}) == ["b.c: None -> absent"]


def test_second_process_is_turned_away_and_a_dead_ones_lock_is_not(tmp_path: Path) -> None:
    def second() -> int:
        try:
            RunFolder.open(tmp_path / "run", PRESET, {}, resume=True)
        except UserError as error:
            return 2 if f"in use by process {os.getppid()}" in str(error) else 3
        return 0

    def dies_with_the_lock() -> int:
        RunFolder.open(tmp_path / "run", PRESET, {}, resume=True)
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with RunFolder.open(tmp_path / "run", PRESET, {}):
        assert in_child(second) == 2
    assert in_child(second) == 0
    assert in_child(dies_with_the_lock) == -signal.SIGKILL
    assert ".lock" in _files(tmp_path / "run")
    RunFolder.open(tmp_path / "run", PRESET, {}, resume=True).close()
    assert ".lock" not in _files(tmp_path / "run")


def test_killed_before_the_preset_was_written_starts_anew(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with RunFolder.open(tmp_path, PRESET, {}, resume=True) as folder:
        assert not folder.resumed


def test_prune_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        for step in (2, 9, 10, 11):
            folder.save_checkpoint(step, _state(step))
        folder.mark_best(2)
        folder.prune(2)
        assert folder.steps() == [2, 10, 11] and folder.best() == 2
        assert folder.load(2)["step"] == 2


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.append_metrics({"update": 1})
        folder.save_checkpoint(1, _state(1))
        folder.append_metrics({"update": 2})
        with (folder.path / "metrics.jsonl").open("a") as file:
            file.write('{"update": 3, "lo')
    with RunFolder.open(tmp_path / "run", PRESET, {}, resume=True) as folder:
        step, state = folder.load_latest()
        assert (step, state["step"]) == (1, 1)
        assert folder.read_metrics() == [{"update": 1}]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_comes_back_from_a_checkpoint(tmp_path: Path, value: float) -> None:
    """The best validation loss is infinite until there is one."""
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.save_checkpoint(3, {"best": {"loss": value, "losses": [value, 1.0]}})
        step, state = folder.load_latest() or (0, None)
        assert step == 3 and not folder.warnings
        assert math.isclose(state["best"]["loss"], value) or math.isnan(value)
        assert math.isnan(state["best"]["losses"][0]) == math.isnan(value)


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_set_aside(tmp_path: Path, name: str) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.save_checkpoint(1, _state(1))
        file = folder.save_checkpoint(2, _state(2)) / name
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(data)
        assert folder.load_latest()[0] == 1
        assert "Checkpoint 2 was set aside" in folder.warnings[0] and name in folder.warnings[0]
        assert (folder.path / "LATEST").read_text() == "step-1\n"
        folder.save_checkpoint(2, _state(2))
        assert folder.load_latest()[0] == 2


def test_disk_full_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.save_checkpoint(1, _state(1))

        def full(path: Path, tensors: object) -> None:
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(run_file, "write_safetensors", full)
        with pytest.raises(RunError, match="No space left"):
            folder.save_checkpoint(2, _state(2))
        monkeypatch.undo()
        assert _files(folder.path / "checkpoints") == {"step-1"}
        assert folder.load_latest()[0] == 1


def test_a_real_limit_on_file_size_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    """The kernel itself refuses the bytes, wherever in the write it happens."""
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.save_checkpoint(1, _state(1))
        for limit in (0, 100, 5000):
            assert in_child(lambda n=limit: _save_under_limit(folder, n)) == 1
            assert _files(folder.path / "checkpoints") == {"step-1"}
            assert folder.load_latest()[0] == 1


def _save_under_limit(folder: RunFolder, limit: int) -> int:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        folder.save_checkpoint(2, _state(2))
    except RunError:
        return 1
    return 0


def test_killed_at_any_file_operation_of_its_beginning_it_starts_anew(tmp_path: Path) -> None:
    moment, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        path = tmp_path / f"run-{moment}"

        def killed(path: Path = path, moment: int = moment) -> int:
            _kill_at(moment, path)
            RunFolder.open(path, PRESET, {}).close()
            return 0

        code = in_child(killed)
        with RunFolder.open(path, PRESET, {}, resume=path.exists()) as folder:
            assert folder.steps() == [] and not folder.warnings
        assert _files(path) == {"preset.yaml", "env.json", "checkpoints", ".written"}
        moment += 1
    assert code == 0 and moment > 10


def _kill_at(moment: int, path: Path) -> None:
    """Have this process killed before its n-th operation on files of a folder."""
    seen = 0

    def look(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.chmod", "os.truncate"):
            seen += str(arguments[0]).startswith(str(path))
            if seen > moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def test_killed_at_fifty_random_moments_of_a_save(tmp_path: Path) -> None:
    """SIGKILL whenever it comes: a whole checkpoint loads, and never an older one than was known to be safe."""
    draw = random.Random(0)
    safe = 0
    for _ in range(50):
        saved, telling = os.pipe()
        child = os.fork()
        if child == 0:
            _save_for_ever(tmp_path / "run", safe, telling)
        os.read(saved, 1)
        time.sleep(draw.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(saved)
        os.close(telling)
        with RunFolder.open(tmp_path / "run", PRESET, {}, resume=True) as folder:
            step, state = folder.load_latest()
            assert not folder.warnings
            assert state["step"] == step > safe and torch.equal(state["weights"], _state(step)["weights"])
            assert not [name for name in _files(folder.path / "checkpoints") if name.endswith(".tmp")]
            safe = step


def _save_for_ever(path: Path, step: int, telling: int) -> None:
    with RunFolder.open(path, PRESET, {}, resume=step > 0) as folder:
        while True:
            step += 1
            folder.save_checkpoint(step, _state(step))
            os.write(telling, b".")
            folder.prune(2)


def test_a_mistake_while_the_run_is_prepared_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError), RunFolder.open(tmp_path / "run", {"a": 1}, {}):
        raise UserError("the reward is not there")
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_after_the_first_update_keeps_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError), RunFolder.open(tmp_path / "run", {"a": 1}, {}) as folder:
        folder.append_metrics({"update": 1})
        raise UserError("late")
    assert (tmp_path / "run" / "preset.yaml").exists()


@pytest.mark.parametrize(
    "damage", [{}, {"metrics_bytes": 0}, {"metrics_bytes": "x", "state": 1}, {"state": {}}]
)
def test_a_checkpoint_that_lacks_something_is_set_aside_though_its_manifest_fits(
    tmp_path: Path, damage: dict
) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.save_checkpoint(1, _state(1))
        (folder.save_checkpoint(2, _state(2)) / "state.json").write_text(json.dumps(damage))
        write_manifest(folder.checkpoint(2))
        step, state = folder.load_latest() or (0, {})
    assert step == 1 and state["step"] == 1 and "Checkpoint 2 was set aside" in folder.warnings[0]


def test_a_damaged_line_of_the_metrics_is_named_before_the_run_goes_on(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "run", PRESET, {}) as folder:
        folder.append_metrics({"update": 1})
        (tmp_path / "run" / "metrics.jsonl").write_text("{bad\n")
        folder.save_checkpoint(1, _state(1))
        with pytest.raises(UserError, match=r"metrics\.jsonl: line 1: no valid JSON"):
            folder.load_latest()
