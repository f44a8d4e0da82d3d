"""The loop of every training: updates, checkpoints, resume, signals, metrics."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from motionrft.errors import Interrupted, RunError, UserError
from motionrft.training.distribution import Distribution
from motionrft.training.dry_run import DryRun, DryRunDone
from motionrft.training.memory import MemoryMeter
from motionrft.training.numbers import read, waiting
from motionrft.training.progress import Progress, Silent
from motionrft.training.run import RunFolder
from motionrft.training.seeds import global_random_state, restore_global_random_state
from motionrft.training.signals import TERMINATED, Signals
from motionrft.training.watch import Finding

_DRY, _LONGEST_DROUGHT = 5, 25
"""Calls of `update` in a row that make none (no gradient): worth a warning, and the end of the run."""

_TOGETHER, _LATEST = 10, 1.0
"""Metrics that are still on the device are read this many updates at a time, or after so many seconds."""

Metrics = Mapping[str, Any]


class Trainer(Protocol):
    """What the loop trains.

    What changes between two updates must be in `state_dict`; the loop keeps the global random generators.
    """

    def update(self, step: int) -> Metrics | Sequence[Metrics]:
        """Make one optimiser update, `step` (counted from 0) having been made; return its metrics.

        A trainer that makes several at a time (a fine-tuning trajectory) returns one metrics dict for each.
        Metrics may be () tensors, which the loop reads when it is due: nobody waits for a device at every update.
        """

    def state_dict(self) -> dict[str, Any]:
        """Tree of tensors and plain values: weights, optimiser, EMA, data cursor, generators of its own.

        Called in every process of a run; what the first returns is saved.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state; tensors arrive on the CPU."""


@dataclass(frozen=True)
class Outcome:
    """How a loop ended."""

    step: int
    """Updates made since the very beginning."""
    seconds: float
    """Time spent on updates and checkpoints, earlier sessions included; the watch's looks are not counted."""
    reason: str
    """`updates`, `time`, or the sentence of the watch."""


def train(
    trainer: Trainer,
    folder: RunFolder | None = None,
    *,
    updates: int | None = None,
    time_limit: float | None = None,
    checkpoint_every: int = 100,
    keep: int = 2,
    progress: Progress | None = None,
    watch: Callable[[int], Finding | str | None] | None = None,
    watch_end: Callable[[int], Finding | str | None] | None = None,
    keep_start: bool = False,
    distribution: Distribution | None = None,
) -> Outcome:
    """Run a trainer from where its folder stands to the end.

    Args:
        folder: where to save and from where to resume; None keeps nothing. Only the main process needs it.
        updates, time_limit: whichever comes first ends the loop; seconds as in `Outcome`.
        checkpoint_every: updates between checkpoints, 0 for none; the end is always saved.
        keep: newest checkpoints that stay (the best stays too); 0 keeps all.
        watch: called after each `update` with the updates made. A sentence ends the run, saved; a finding may also
            warn, and mark this state as the best, saved too.
        watch_end: the same, once, when a budget has ended the run; its sentence becomes the reason of the end.
        keep_start: save the state before the first update, as the best until the watch finds a better one.
        distribution: the processes of this run; only the main one writes and reports.

    Raises:
        DryRunDone: `progress` is a `DryRun`: the cost was measured, nothing was trained or saved.
        Interrupted: SIGINT or SIGTERM, after saving; carries the exit code.
        RunError: the trainer gave up, or writing failed. The last checkpoint stays.
    """
    if updates is None and time_limit is None:
        raise ValueError("train needs updates, time_limit or both")
    if isinstance(progress, DryRun):
        raise DryRunDone(progress.measure(trainer, updates))
    run = _Session(trainer, folder, progress or Silent(), keep, distribution or Distribution())
    run.restore(watched=watch is not None)
    left = None if time_limit is None else max(time_limit - run.seconds, 0.0)
    run.progress.start(updates, run.step, seconds=left)
    try:
        with Signals() as signals:
            if keep_start and run.step == 0:
                run.save(best=True)
            while (reason := run.ended(updates, time_limit)) is None:
                before = run.step
                run.advance()
                stop, save, best, told = run.agree(
                    signals.stop or 0, signals.save, run.look(watch), run.must_tell()
                )
                due = checkpoint_every and run.step // checkpoint_every > before // checkpoint_every
                if told or due or stop or save or best:
                    run.report()
                if due or stop or save or best:
                    signals.save = False
                    run.save(best=bool(best))
                if stop:
                    raise run.interrupted(stop)
            run.report()
            best = reason in ("updates", "time") and run.agree(run.look(watch_end))[0]
            run.save(best=bool(best))
            reason = run.stop_sentence or reason
            if stop := run.agree(signals.stop or 0)[0]:
                raise run.interrupted(stop)
    except RunError:
        if run.distribution.processes == 1:  # of several, one may be lost, and reporting is done together
            run.report()
        raise
    finally:
        run.progress.finish()
    return Outcome(run.step, run.seconds, reason)


class _Session:
    """One process's share of a run."""

    def __init__(
        self,
        trainer: Trainer,
        folder: RunFolder | None,
        progress: Progress,
        keep: int,
        distribution: Distribution,
    ) -> None:
        self.trainer, self.keep = trainer, keep
        self.folder = folder if distribution.main else None
        self.progress = progress if distribution.main else Silent()
        self.distribution = distribution
        self.agree = distribution.largest
        self.step = 0
        self.stop_sentence: str | None = None
        """The watch's last word, which a resumed run remembers."""
        self._pending: list[Metrics] = []
        self._reported = time.perf_counter()
        self._drought = 0
        self._told_of_no_gradient = False
        self._earlier = 0.0
        self._started = time.perf_counter()
        self._memory = MemoryMeter()

    @property
    def seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._started

    def ended(self, updates: int | None, time_limit: float | None) -> str | None:
        if self.stop_sentence is not None:
            return self.stop_sentence
        if updates is not None and self.step >= updates:
            return "updates"
        if time_limit is not None and self.agree(self.seconds >= time_limit)[0]:
            return "time"
        return None

    def advance(self) -> None:
        began = time.perf_counter()
        made = self.trainer.update(self.step)
        lines = [made] if isinstance(made, Mapping) else list(made)
        self._drought = 0 if lines else self._drought + 1
        if self._drought == _DRY:
            self._warn_of_no_gradient()
        if self._drought == _LONGEST_DROUGHT:
            raise RunError(
                f"{_LONGEST_DROUGHT} times in a row nothing was updated: what is judged has no gradient."
            )
        seconds = (time.perf_counter() - began) / max(len(lines), 1)
        for line in lines:
            self.step += 1
            self._pending.append({"update": self.step, "seconds": seconds, **self._memory.read(), **line})
        if not waiting(self._pending):
            self.report()

    def must_tell(self) -> bool:
        """Whether metrics have waited on the device for long enough."""
        old = time.perf_counter() - self._reported > _LATEST
        return bool(self._pending) and (old or len(self._pending) >= _TOGETHER)

    def report(self) -> None:
        """Write and show the metrics of the updates since the last report, here and in every process at once."""
        lines, self._pending = read(self._pending), []
        self._reported = time.perf_counter()
        for line in lines:
            self._report(line)

    def look(self, watch: Callable[[int], Finding | str | None] | None) -> bool:
        """Let the watch judge: True for the best state so far; its last word ends the run in every process."""
        began = time.perf_counter()
        found = watch(self.step) if watch else None
        self._started += time.perf_counter() - began  # a budget of seconds buys updates, not looks
        finding = found if isinstance(found, Finding) else Finding(stop=found)
        for warning in finding.warnings:
            self.progress.message(f"Watch, update {self.step}: {warning}.", warn=True)
        if self.agree(finding.stop is not None)[0]:
            self.stop_sentence = next(
                sentence for sentence in self.distribution.gather(finding.stop) if sentence
            )
        return finding.best

    def save(self, best: bool = False) -> None:
        random = self.distribution.gather(global_random_state())
        of_trainer = self.trainer.state_dict()  # in every process: each may hold a part of it
        if self.folder is None:
            return
        if best:  # before the checkpoint: killed in between, the resumed run comes here again and makes it
            self.folder.mark_best(self.step)
        state = {
            "trainer": of_trainer,
            "random": random,
            "seconds": self.seconds,
            "verdict": self.stop_sentence,
        }
        self.folder.save_checkpoint(self.step, state)
        if self.keep:
            self.folder.prune(self.keep)

    def restore(self, watched: bool) -> None:
        """Go on from the newest checkpoint of the main process's folder, if it has one."""
        found = self.folder.load_latest() if self.folder is not None else None
        for warning in self.folder.warnings if self.folder is not None else ():
            self.progress.message(warning, warn=True)
        found = self.distribution.told(found)
        if found is None:
            return
        self.step, state = found
        if len(state["random"]) != self.distribution.processes:
            raise UserError(
                f"The run was started with {len(state['random'])} processes, not {self.distribution.processes}. "
                "Resume with as many."
            )
        self.trainer.load_state_dict(state["trainer"])
        restore_global_random_state(state["random"][self.distribution.rank])
        self._earlier = state["seconds"]
        self.stop_sentence = state["verdict"] if watched else None
        self.progress.message(f"Going on after update {self.step}.")

    def interrupted(self, exit_code: int) -> Interrupted:
        how = "Stopped" if exit_code == TERMINATED else "Interrupted"
        where = f"; the state is saved in {self.folder.path}, go on with --resume" if self.folder else ""
        return Interrupted(f"{how} after update {self.step}{where}.", exit_code, together=True)

    def _warn_of_no_gradient(self) -> None:
        if not self._told_of_no_gradient:
            self._told_of_no_gradient = True
            self.progress.message(
                f"No gradient at update {self.step}: what is optimised does not depend on the trained weights "
                "(a constant reward?).",
                warn=True,
            )

    def _report(self, metrics: Metrics) -> None:
        metrics = self.distribution.mean(metrics)
        if self.folder is not None:
            self.folder.append_metrics(metrics)
        if metrics.get("grad_norm") == 0.0:
            self._warn_of_no_gradient()
        self.progress.update(metrics["update"], metrics)
