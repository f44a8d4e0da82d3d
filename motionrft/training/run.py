"""The folder of a run: what it was asked, what it ran on, what it measured, and where it can go on.

preset.yaml  env.json  metrics.jsonl  checkpoints/step-N/  LATEST  BEST
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionrft.errors import UserError
from motionrft.parsing import parsing, read_json, read_text
from motionrft.settings.plain_yaml import read_yaml, write_yaml
from motionrft.training.atomic import (
    atomic_folder,
    clean_temporaries,
    is_temporary,
    temporary_path,
    write_text,
)
from motionrft.training.changes import WITH_DATA, changed_keys
from motionrft.training.journal import WRITTEN, Journal, note_written
from motionrft.training.lines import append_line, cut_lines, read_lines, settled_size
from motionrft.training.lock import LOCK, FolderLock
from motionrft.training.signals import OrderlyEnd, lacking
from motionrft.training.state import join_tree, split_tree
from motionrft.training.weights import (
    MANIFEST,
    check_manifest,
    check_safetensors,
    read_safetensors,
    write_manifest,
    write_safetensors,
)

PRESET, ENVIRONMENT, METRICS, CHECKPOINTS, LATEST, BEST = (
    "preset.yaml",
    "env.json",
    "metrics.jsonl",
    "checkpoints",
    "LATEST",
    "BEST",
)
_STATE_TENSORS, _STATE = "state.safetensors", "state.json"
_CORE = (PRESET, ENVIRONMENT, METRICS, LATEST, BEST)
"""What every run writes, also one of a version that kept no list of it."""
_LISTED = 5


class RunFolder:
    """A locked run folder. As a context it releases the lock at the end, and a SIGTERM becomes `Interrupted`.

    Example:
        with RunFolder.open(out, preset, environment, resume=resume) as folder:
            train(trainer, folder, updates=1000)
    """

    def __init__(self, path: Path, lock: FolderLock, *, resumed: bool) -> None:
        self.path = path
        self.resumed = resumed
        """The folder held a run before; its newest checkpoint, if any, is where to go on."""
        self.warnings: list[str] = []
        """Sentences about checkpoints that could not be read, and files that no run wrote."""
        self._lock = lock
        self._journal = Journal(path)
        self._journal.begin()
        self._ending = OrderlyEnd(f"Stopped; go on in {path} with --resume.")

    @classmethod
    def open(
        cls,
        path: Path | str,
        preset: Mapping[str, Any],
        environment: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
        identity: Mapping[str, str] | None = None,
        allow_changed: Sequence[str] = (),
        complete: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    ) -> "RunFolder":
        """Create a run folder, or take up an old one.

        Args:
            path: where; parents are created.
            preset: the resolved preset, plain YAML values; written as `preset.yaml`.
            environment: `motionrft.training.environment.environment(device)`; written as `env.json`.
            resume: go on with the run that lies there.
            overwrite: delete what the run that lies there has written, by its own list. What is not on the list stays
                and is named in `warnings`.
            identity: hashes of what the run reads (`{"data": …, "generator": …, "reward": …}`), kept in
                `env.json` and compared on resume as the preset is.
            allow_changed: dotted preset keys, groups of them (`optimiser`) or identity names that may differ
                on resume.
            complete: fills in what the preset of a run of an older version does not say.

        Raises:
            UserError: the folder exists (neither flag given), is no run, is in use, cannot be written, or was
                made with another preset or data set; the differing keys are listed.
        """
        path = Path(path)
        lock = _locked_folder(path, resume=resume, overwrite=overwrite)
        kept: list[Path] = []
        try:
            clean_temporaries(path, locked=True)
            resumed = resume and (path / PRESET).is_file()
            if resumed:
                _refuse_changes(path, preset, identity or {}, allow_changed, complete)
            elif overwrite:
                kept = _delete_run(path)
            folder = cls(path, lock, resumed=resumed)
        except BaseException:
            lock.release()
            raise
        try:
            folder._begin(preset, {**environment, "hashes": dict(identity or {})})
        except BaseException:
            folder.close()
            raise
        folder.warnings += lost_here(lock)
        if kept:
            names = ", ".join(each.name for each in kept[:_LISTED])
            more = f" and {len(kept) - _LISTED} more" if len(kept) > _LISTED else ""
            folder.warnings.append(f"{path}: {names}{more} stay: no run wrote them.")
        return folder

    def _begin(self, preset: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Write what a run is and runs on."""
        write_text(self.path / ENVIRONMENT, json.dumps(environment, indent=2) + "\n")
        write_text(self.path / PRESET, write_yaml(dict(preset)))
        (self.path / CHECKPOINTS).mkdir(exist_ok=True)
        clean_temporaries(self.path / CHECKPOINTS, locked=True)

    def __enter__(self) -> "RunFolder":
        self._ending.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.__exit__(*exception)
        mistaken = isinstance(exception[1], UserError) and not self.resumed
        unused = not self.steps() and not (self.path / METRICS).exists()
        self.close()
        if mistaken and unused:
            self._remove()

    def _remove(self) -> None:
        """Take back what `open` wrote: a mistake that shows while the run is prepared leaves nothing behind."""
        for name in (PRESET, ENVIRONMENT, WRITTEN):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody else's files, which stay
            (self.path / CHECKPOINTS).rmdir()
            self.path.rmdir()

    def close(self) -> None:
        """Release the lock; nothing else is pending."""
        self._journal.end()
        self._lock.release()

    def append_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Add one line to `metrics.jsonl`. A value that is not finite becomes `null`: JSON has no NaN."""
        append_line(self.path / METRICS, metrics)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line of `metrics.jsonl`.

        Raises:
            UserError: a line is no JSON object; it is named.
        """
        return read_lines(self.path / METRICS)

    def save_checkpoint(self, step: int, state: Any) -> Path:
        """Write `checkpoints/step-N/` whole, then point LATEST at it; a step saved already is left alone.

        Args:
            step: updates made.
            state: a tree as `motionrft.training.state` takes it.
        """
        target = self.checkpoint(step)
        if not target.is_dir():
            tensors, value = split_tree({"metrics_bytes": settled_size(self.path / METRICS), "state": state})
            with atomic_folder(target) as temporary:
                write_safetensors(temporary / _STATE_TENSORS, tensors)
                (temporary / _STATE).write_text(json.dumps(value))
                write_manifest(temporary)
        write_text(self.path / LATEST, target.name + "\n")
        return target

    def load_latest(self) -> tuple[int, Any] | None:
        """The newest checkpoint that can be read; the metrics are cut back to it. None: start at update 0.

        A damaged one is set aside as `step-N.damaged`, with a sentence in `warnings`; the one before it serves.
        """
        for step in reversed(self.steps()):
            folder = self.checkpoint(step)
            try:
                state = self.load(step, cut_metrics=True)
            except UserError as error:
                self.warnings.append(f"Checkpoint {step} was set aside. {error}")
                aside = folder.with_name(folder.name + ".damaged")
                shutil.rmtree(aside, ignore_errors=True)
                note_written(aside, [each for each in folder.rglob("*") if each.is_file()], folder)
                folder.rename(aside)
                continue
            write_text(self.path / LATEST, folder.name + "\n")
            self.read_metrics()  # what the report will read: better now than after the last update
            return step, state
        cut_lines(self.path / METRICS, 0)
        return None

    def load(self, step: int, *, cut_metrics: bool = False) -> Any:
        """The state of one checkpoint, checked against its manifest.

        Raises:
            UserError: it is not there, or damaged; says where.
        """
        folder = self.checkpoint(step)
        check_safetensors(folder / _STATE_TENSORS)
        check_manifest(folder, (_STATE_TENSORS, _STATE))
        with parsing(folder, "a checkpoint"):
            # A best loss is infinite before the first look, and what has diverged may be NaN.
            value = read_json(folder / _STATE, finite=False)
            saved = join_tree(read_safetensors(folder / _STATE_TENSORS), value)
            size, state = int(saved["metrics_bytes"]), saved["state"]
        if cut_metrics:
            cut_lines(self.path / METRICS, size)
        return state

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of an update lies, or would lie."""
        return self.path / CHECKPOINTS / f"step-{step}"

    def steps(self) -> list[int]:
        """Updates that have a checkpoint, ascending."""
        names = (child.name.removeprefix("step-") for child in (self.path / CHECKPOINTS).glob("step-*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def mark_best(self, step: int) -> None:
        """Point BEST at a checkpoint, saved or just about to be; `prune` keeps it."""
        write_text(self.path / BEST, f"step-{step}\n")

    def best(self) -> int | None:
        """The update whose checkpoint is marked best, or None."""
        file = self.path / BEST
        if not file.is_file():
            return None
        with parsing(file, "the name of a checkpoint"):
            step = int(read_text(file).strip().removeprefix("step-"))
        return step if self.checkpoint(step).is_dir() else None

    def prune(self, keep: int) -> None:
        """Delete all checkpoints but the newest `keep` and the best."""
        for step in self.steps()[:-keep] if keep else []:
            if step != self.best():
                doomed = temporary_path(self.checkpoint(step))
                self.checkpoint(step).rename(doomed)  # killed half-way, it must not look like a checkpoint
                shutil.rmtree(doomed)


def lost_here(lock: FolderLock) -> list[str]:
    """Sentences about what a run cannot do on this system."""
    signals = lacking()
    said = (
        f"This system has no {' and no '.join(signals)}: nobody can ask a run by them to save."
        if signals
        else None
    )
    return [sentence for sentence in (lock.lost, said) if sentence]


def _locked_folder(path: Path, *, resume: bool, overwrite: bool) -> FolderLock:
    """Check that the folder may be used, create it, lock it."""
    if resume and not path.exists():
        raise UserError(f"{path}: there is no run to resume. Leave --resume out to start one.")
    _check_usable(path, resume=resume, overwrite=overwrite)
    lock = FolderLock(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}). Name another --out.") from error
    try:
        _check_usable(path, resume=resume, overwrite=overwrite)  # another process may have come and gone
    except UserError:
        lock.release()
        raise
    return lock


def _check_usable(path: Path, *, resume: bool, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file. --out names a folder.")
    # A process that was killed before it had written a thing leaves its lock and what it was writing.
    entries = path.is_dir() and any(c.name != LOCK and not is_temporary(c.name) for c in path.iterdir())
    if entries and not is_run(path):
        raise UserError(
            f"{path}: exists and is no run folder (no {ENVIRONMENT} of a run). Name another --out."
        )
    if entries and not (resume or overwrite):
        raise UserError(
            f"{path}: exists. Use --resume to go on with it, --overwrite to start anew, or another --out."
        )


def is_run(path: Path) -> bool:
    """Whether a folder was written by a run: it has a run's own list, or the `env.json` that only a run writes."""
    if (path / WRITTEN).is_file():
        return True
    try:
        return (path / ENVIRONMENT).is_file() and "hashes" in read_json(path / ENVIRONMENT)
    except UserError:
        return False


def _delete_run(path: Path) -> list[Path]:
    """Delete the files that the run of a folder has written; returns what is left there."""
    journal = Journal(path)
    checkpoints = (path / CHECKPOINTS).glob("step-*/*")
    own = (_STATE_TENSORS, _STATE, MANIFEST)
    known = [path / name for name in _CORE] + [each for each in checkpoints if each.name in own]
    journal.known |= {each.relative_to(path) for each in known}
    return [each for each in journal.delete_all() if each.name != LOCK]


def _refuse_changes(
    path: Path,
    preset: Mapping[str, Any],
    identity: Mapping[str, str],
    allow_changed: Sequence[str],
    complete: Callable[[dict[str, Any]], Mapping[str, Any]] | None,
) -> None:
    before = read_yaml(read_text(path / PRESET), str(path / PRESET)) or {}
    if not isinstance(before, dict):
        raise UserError(f"{path / PRESET}: no preset (a table of settings). The run cannot be resumed.")
    if complete is not None:
        before = _completed(before, complete)
    now = read_yaml(write_yaml(dict(preset)), PRESET)
    found = read_json(path / ENVIRONMENT).get("hashes")
    hashes = found if isinstance(found, dict) else {}
    alone = set(WITH_DATA) & (hashes.keys() ^ identity.keys())
    kept, read = ({n: v for n, v in table.items() if n not in alone} for table in (hashes, identity))
    changed = changed_keys(before, now, allow_changed)
    changed += changed_keys(kept, read, [*allow_changed, *(WITH_DATA if "data" in allow_changed else ())])
    if changed:
        more = f"; and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
        raise UserError(
            f"{path}: the run was started with something else: {'; '.join(changed[:_LISTED])}{more}. "
            "Resume with what it was started with, or allow a difference with --allow-changed KEY."
        )


def _completed(
    before: dict[str, Any], complete: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """What an older version left out is what it did not change: the defaults."""
    try:
        return complete(before)
    except UserError:  # it says something that is no longer understood: compared as it stands
        return before
