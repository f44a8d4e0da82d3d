"""AdamW's moments divided over the processes of a run: ZeRO, stage 1 (Rajbhandari et al. 2020, section 5.1).

The two moments take twice the memory of the weights. Here each process keeps those of its own share of the parameters
alone: gradients go to whoever owns their parameter, who makes the step and sends the parameter back. That moves as many
bytes as averaging does, and the weights are those of an undivided step. Weights and gradients stay whole, so that
whatever runs the network (adapters, a frozen copy, a chain of weights) needs to know nothing of it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from motionrft.errors import UserError
from motionrft.training.distribution import Distribution

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Division:
    """Whole parameters, each owned by one process; the largest first, to whoever has least.

    Args:
        named: all that is trained, the same in every process.

    Raises:
        UserError: there are fewer parameters than processes.
    """

    def __init__(self, named: Mapping[str, nn.Parameter], company: Distribution) -> None:
        self.named, self.company = dict(named), company
        if len(self.named) < company.processes:
            raise UserError(
                f"optimiser.divided: {len(self.named)} parameters are trained, and {company.processes} processes "
                "cannot all own one: leave it out, or start fewer."
            )
        loads = [0] * company.processes
        self.owner: dict[str, int] = {}
        """Rank of each parameter's owner."""
        for name in sorted(self.named, key=lambda name: -self.named[name].numel()):
            least = loads.index(min(loads))
            self.owner[name] = least
            loads[least] += self.named[name].numel()

    @property
    def own(self) -> dict[str, nn.Parameter]:
        """This process's parameters, in the order of all."""
        return self.owned_by(self.company.rank)

    def owned_by(self, rank: int) -> dict[str, nn.Parameter]:
        """The parameters of one process, in the order of all."""
        return {name: self.named[name] for name in self.named if self.owner[name] == rank}

    def collect(self) -> list[Tensor]:
        """Bring every gradient's mean over the processes to its owner; the others drop theirs.

        Every parameter has to have one, zero where nothing reached it.

        Returns:
            This process's own gradients, each in the shape of its parameter.
        """
        for rank in range(self.company.processes):
            owned = self.owned_by(rank).values()
            self.company.mean_for(rank, [each.grad for each in owned if each.grad is not None])
            if rank != self.company.rank:
                for parameter in owned:
                    parameter.grad = None
        return [each.grad for each in self.own.values() if each.grad is not None]

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """() the Euclidean norm of all processes' own gradients."""
        squared = nn.utils.get_total_norm(gradients).square()  # ()
        self.company.total([squared])
        return squared.sqrt()

    @torch.no_grad()
    def spread(self) -> None:
        """Send every parameter from its owner to the others."""
        for rank in range(self.company.processes):
            self.company.sent_by(rank, [each.data for each in self.owned_by(rank).values()])

    def whole(self, adam: torch.optim.Optimizer) -> dict[str, Any]:
        """AdamW's state as one process would have it: in the first process, on the host; call it in all of them.

        The others get a state without moments.
        """
        state = adam.state_dict()
        groups = [{**group, "params": list(range(len(self.named)))} for group in state["param_groups"]]
        steps = self.company.gather({name: float(adam.state[p]["step"]) for name, p in self._stepped(adam)})
        whole: dict[int, dict[str, Tensor]] = {}
        for number, (name, parameter) in enumerate(self.named.items()):
            owner = self.owner[name]
            if name not in steps[owner]:
                continue
            moments = [self._moment(adam, parameter, each) for each in _MOMENTS]
            self.company.sent_by(owner, moments)
            if self.company.main:
                held = {each: value.cpu() for each, value in zip(_MOMENTS, moments, strict=True)}
                whole[number] = {"step": torch.tensor(steps[owner][name]), **held}
        return {"state": whole, "param_groups": groups}

    def share(self, whole: Mapping[str, Any]) -> dict[str, Any]:
        """This process's part of a whole state, for its own AdamW."""
        numbers = [number for number, name in enumerate(self.named) if self.owner[name] == self.company.rank]
        known = whole["state"]
        state = {place: known[number] for place, number in enumerate(numbers) if number in known}
        groups = [{**group, "params": list(range(len(numbers)))} for group in whole["param_groups"]]
        return {"state": state, "param_groups": groups}

    def _stepped(self, adam: torch.optim.Optimizer) -> list[tuple[str, nn.Parameter]]:
        return [(name, parameter) for name, parameter in self.own.items() if adam.state.get(parameter)]

    def _moment(self, adam: torch.optim.Optimizer, parameter: nn.Parameter, name: str) -> Tensor:
        """This process's own, or room for another's."""
        held = adam.state.get(parameter)
        return held[name] if held else torch.empty_like(parameter.data)
