"""The trainer: a batch of prompts at a time becomes a trajectory, and its update points become optimiser steps."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.errors import RunError, is_out_of_memory
from motionrft.finetuning.budget import planned_updates, updates_a_batch
from motionrft.finetuning.chain import WeightChain
from motionrft.finetuning.methods.base import method_named, plan_of
from motionrft.finetuning.objective import TuningContext, UpdatePoint, load_objective
from motionrft.finetuning.prepared_prompts import PreparedPrompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.shares import GradientShares, spread_shares
from motionrft.training.cursor import StreamCursor
from motionrft.training.distribution import Distribution
from motionrft.training.ema import Ema
from motionrft.training.numbers import read
from motionrft.training.optimiser import Optimiser
from motionrft.training.out_of_memory import does_not_fit
from motionrft.training.seeds import item_seed
from motionrft.training.watch import Watch

log = logging.getLogger(__name__)

_TEXTS_AHEAD = 1024
"""Prompts whose texts are encoded together: a text encoder takes seconds to load, and a data set hours to encode."""
_TIMED = 2
"""Trajectories after which the updates that fit into a time limit are estimated; the first is slower than
the rest.
"""


class FinetuneTrainer:
    """One trajectory a call of `update`; as many metrics as it made updates.

    Args:
        parameters: what is trained, by name (`motionrft.finetuning.adapters.prepare_training`).
        say: told when the batch is worked on in smaller micro-batches.
        watch: what judges the run from outside; its memory belongs to the run's state.
    """

    def __init__(
        self,
        preset: FinetunePreset,
        context: TuningContext,
        prepared: PreparedPrompts,
        parameters: Sequence[tuple[str, nn.Parameter]],
        *,
        dtype: torch.dtype = torch.float32,
        distribution: Distribution | None = None,
        say: Callable[[str], None] | None = None,
        watch: Watch | None = None,
    ):
        self.preset, self.prepared, self.say, self.watch = preset, prepared, say, watch
        self.parameters = dict(parameters)
        self.distribution = distribution or Distribution()
        self.planned = planned_updates(preset, len(prepared.prompts), self.distribution.processes)
        """Updates at which the run ends, or None where only a time limit ends it."""
        self.total = self.planned
        """Updates that schedule and curriculum refer to; under a time limit alone, estimated after two
        trajectories.
        """
        self.optimiser = Optimiser(
            parameters, preset.optimiser, total=self.total, company=self.distribution, dtype=dtype
        )
        self.shares = GradientShares(context.reward, getattr(context.reward, "term_weights", {}))
        self.context = replace(
            context, backward=self.optimiser.backward, reward=self.shares, company=self.distribution
        )
        method = method_named(preset.method.method)
        self.objective, self.follows_gradient = load_objective(method.objective), method.follows_plan
        self.cursor = StreamCursor(
            len(prepared.prompts),
            preset.batch,
            preset.seed,
            identity=prepared.prompts.identity,
            rank=self.distribution.rank,
            processes=self.distribution.processes,
            lengths=prepared.prompts.lengths,
        )
        self.ema = Ema(context.generator.denoiser, preset.ema) if preset.ema else None
        self.chain: WeightChain | None = None
        self.trajectory = 0
        self._remembered = 0
        """Where in the stream of prompts the texts are not encoded yet."""
        self.micro_batch = preset.micro_batch or preset.batch

    def update(self, step: int) -> list[dict[str, Any]]:
        """Walk one trajectory, making the updates its method asks for, at most up to the total."""
        if self.cursor.position >= self._remembered:
            self._look_ahead(step)
        return self.walk(*self.cursor.visit(), step)

    def walk(self, items: Tensor, visits: Tensor | int, step: int) -> list[dict[str, Any]]:
        """`update` for chosen prompts: (B,) positions among them, and how often each was met before.

        The device is asked for the numbers once, at the trajectory's end; on CUDA the updates then share its time.
        """
        lines: list[dict[str, Any]] = []
        began = time.perf_counter()
        while not self._walked(items, visits, step, lines):
            self._halve()
        if self.chain is not None:
            self.chain.adopt()
        self.trajectory += 1
        lines = read(lines)
        if self.context.generator.device.type != "cpu":
            seconds = (time.perf_counter() - began) / max(len(lines), 1)
            lines = [{**line, "seconds": seconds} for line in lines]
        if self.total is None and self.trajectory == _TIMED:
            self._estimate_total(step, lines)
        return lines

    def _look_ahead(self, step: int) -> None:
        """Have the texts of the next batches encoded, as many as the run may still need."""
        batches = -(-_TEXTS_AHEAD // self.preset.batch)
        if self.total is not None:
            each = updates_a_batch(self.preset.method, self.preset.steps)
            batches = max(1, min(batches, -(-(self.total - step) // each)))
        self.prepared.remember(self.cursor.ahead(batches))
        self._remembered = self.cursor.position + batches * self.preset.batch * self.distribution.processes

    def _advice(self) -> str:
        """What needs less memory."""
        if method_named(self.preset.method.method).follows_plan:
            return "--lora, --guidance 1 or --set method.recompute=true"
        return "--lora or --guidance 1"

    def _walked(self, items: Tensor, visits: Tensor | int, step: int, lines: list[dict[str, Any]]) -> bool:
        """Walk a trajectory of items (B,), adding to `lines`; False if it did not fit into memory and has to be walked
        again.

        Where memory ends after the first update, the trajectory ends there too.

        Raises:
            RunError: it does not fit with a single prompt at a time; or the other processes have gone on from a message
                of this trajectory, so that another one would not be theirs.
        """
        met = self.distribution.messages
        remembered = {name: copy(value) for name, value in self.context.memory.items()}
        try:
            began = time.perf_counter()
            for point in self._update_points(items, visits, step):
                line = self._step(point)
                now = time.perf_counter()
                lines.append({**line, "seconds": now - began})
                began = now
                if step + len(lines) == self.total:
                    break
            return True
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.micro_batch == 1:
                raise does_not_fit(error, self._advice()) from error
            if self.distribution.messages != met:
                half = (self.micro_batch + 1) // 2
                raise RunError(
                    "Out of memory in the middle of a trajectory that several processes walk together: alone this one "
                    "cannot walk it again. Start all of them again with --resume "
                    f"--set micro_batch={half} --allow-changed micro_batch."
                ) from error
        # Outside the except block: the exception's traceback would keep the failed walk's tensors alive.
        self.optimiser.zero_grad()
        if not lines:  # the same rewards come again, and are remembered once
            self.context.memory.clear()
            self.context.memory.update(remembered)
        return bool(lines)

    def _update_points(self, items: Tensor, visits: Tensor | int, step: int) -> Iterator[UpdatePoint]:
        """The update points of a trajectory, with the meter on while each is made."""
        seed = item_seed(self.preset.seed, "plan", self.trajectory)
        plan = plan_of(self.preset.method, self.preset.steps, self.share_done(step), Random(seed))
        micro_batches = self.prepared.micro_batches(items, visits, self.micro_batch)
        self.shares.ask()
        points, meter = self.objective(self.context, micro_batches, plan, Random(seed)), self.context.meter
        while True:
            meter.reset()
            with meter:
                point = next(points, None)
            if point is None:
                return
            yield point

    def share_done(self, step: int) -> float:
        """Share of the run that so many updates are, in [0, 1]; 0 where a time limit has not been measured yet."""
        return 0.0 if self.total is None else step / self.total

    def _halve(self) -> None:
        self.micro_batch = (self.micro_batch + 1) // 2
        torch.cuda.empty_cache()
        told = f"Out of memory: {self.micro_batch} prompts at a time; the batch stays {self.preset.batch}."
        if (
            not self.distribution.main
        ):  # the first process speaks for all, and knows nothing of this one's memory
            log.warning("process %d: %s", self.distribution.rank, told)
        elif self.say is not None:
            self.say(told)

    def _estimate_total(self, step: int, lines: Sequence[dict[str, Any]]) -> None:
        assert self.preset.time_limit is not None
        seconds = sum(line["seconds"] for line in lines) / max(len(lines), 1)
        estimate = step + len(lines) + round(self.preset.time_limit / max(seconds, 1e-6))
        self.total = self.optimiser.total = max(self.distribution.gather(estimate))

    def _step(self, point: UpdatePoint) -> dict[str, Any]:
        if point.chain and self.chain is None:
            self.chain = WeightChain(list(self.parameters.values()))
        with self.chain.learning() if point.chain and self.chain is not None else nullcontext():
            made = self.optimiser.step()
            if self.ema is not None:
                self.ema.update()
        return {
            "trajectory": self.trajectory,
            **_numbers(point),
            **self._shares(point),
            **made,
            "graph_bytes": self.context.meter.peak,
        }

    def _shares(self, point: UpdatePoint) -> dict[str, Tensor]:
        """Each term's share of what moves the weights, at the first update of a trajectory.

        Compiled judgements are one with the decoder and show no motion: nothing is measured there.
        """
        found = self.shares.taken()
        if found or self.follows_gradient or not point.terms:
            return found
        return spread_shares(point.terms, self.shares.weights)

    def state_dict(self) -> dict[str, Any]:
        references = self.prepared.references
        return {
            "weights": {name: p.detach() for name, p in self.parameters.items()},
            "optimiser": self.optimiser.state_dict(),
            "cursor": self.cursor.state_dict(),
            "trajectory": self.trajectory,
            "total": self.total,
            "ema": self.ema.state_dict() if self.ema else None,
            "references": references.state_dict() if references else None,
            "watch": self.watch.state_dict() if self.watch else None,
            "memory": dict(self.context.memory),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(state["weights"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.cursor.load_state_dict(state["cursor"])
        self.trajectory, self.chain = state["trajectory"], None
        # Asked for other numbers than the run was started with, schedule and end follow what is asked now.
        self.total = self.optimiser.total = state["total"] if self.planned is None else self.planned
        self._remembered = 0
        self.context.memory.clear()
        self.context.memory.update(state.get("memory", {}))
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.watch is not None:
            self.watch.load_state_dict(state["watch"])
        if self.prepared.references is not None:
            self.prepared.references.load_state_dict(state["references"])


def _numbers(point: UpdatePoint) -> dict[str, Any]:
    """An update point as () tensors, each still on the device."""
    means = {"loss": point.loss}
    if point.rewards is not None:
        means["reward"] = point.rewards.mean()
    means |= {f"reward/{name}": value.mean() for name, value in point.terms.items()}
    means |= point.numbers
    # Detached: a line is kept to the trajectory's end, and a loss would keep its graph with it.
    told = {name: value.detach() for name, value in means.items()}
    return {"position": point.position, "t": point.t, **told}
