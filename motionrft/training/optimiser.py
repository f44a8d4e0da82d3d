"""One optimiser for every training: AdamW, clipping, warm-up and cosine, and a non-finite guard."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from motionrft.errors import RunError
from motionrft.training.distribution import ALONE, Distribution
from motionrft.training.division import Division
from motionrft.training.last_good import LastGood
from motionrft.training.precision import LossScale
from motionrft.training.schedule import rate_factor

_PATIENCE = 10
"""Updates in a row without a finite gradient. First the last good state comes back, then it is the end."""
_KEPT_EVERY = 100
"""Updates between two copies of the last good state."""
_HARMLESS = 0.1
"""Rate below which AdamW cannot carry finite weights out of float32's range before the next copy is due: it moves one by
at most 1 / sqrt(1 - beta_2) rates an update, and decays it by less than itself."""


class OptimiserSettings(Protocol):
    """What `Optimiser` reads from a preset. `AdamWSettings` is the plain one."""

    @property
    def lr(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...
    @property
    def eps(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float | None: ...
    @property
    def warmup(self) -> int: ...
    @property
    def floor(self) -> float: ...
    @property
    def divided(self) -> bool: ...


@dataclass(frozen=True)
class AdamWSettings:
    """Settings of one optimiser.

    lr: base learning rate.
    clip: largest gradient norm over all parameters; None does not clip (the norm is still tested and
    reported).
    warmup: updates of linear warm-up.
    floor: fraction of `lr` that the cosine ends at.
    divided: each of several processes keeps the moments of its own share of the weights.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = 1.0
    warmup: int = 0
    floor: float = 0.0
    divided: bool = False


class Optimiser:
    """AdamW over named parameters. Accumulate by calling `backward` several times before `step`.

    An update whose gradient is not finite is skipped (`clip_grad_norm_` would turn one NaN into all NaN).
    After ten in a row the last good state comes back and the rate is halved, once; after ten more the run
    ends with a diagnosis.

    On CUDA nothing waits for the device: a gradient that is not finite is skipped there, by AdamW's own kernel, and
    the host learns of it up to ten updates later.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]] | nn.Module,
        settings: OptimiserSettings,
        *,
        total: int | None = None,
        company: Distribution = ALONE,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """
        Args:
            parameters: named parameters, or a module; those that need no gradient are left out.
            settings: a preset's group or `AdamWSettings`.
            total: updates of the whole run, where the cosine ends; None for a constant rate after the
                warm-up.
            company: the processes whose gradients are averaged; `settings.divided` divides the moments among them.
            dtype: of the autocast forward pass; float16 brings a loss scale: use `backward` of this class.
        """
        named = parameters.named_parameters() if isinstance(parameters, nn.Module) else parameters
        self.named = {name: parameter for name, parameter in named if parameter.requires_grad}
        if not self.named:
            raise ValueError("nothing to train: no parameter requires a gradient")
        self.settings, self.total, self.company = settings, total, company
        self.division = Division(self.named, company) if settings.divided and company.processes > 1 else None
        own = self.named if self.division is None else self.division.own
        # On one CPU thread and 8 million weights: 6 ms a step; 34 with foreach and 75 with torch's own choice.
        fused = {parameter.device.type for parameter in self.named.values()} <= {"cpu", "cuda"}
        self.adam = torch.optim.AdamW(
            own.values(),
            lr=settings.lr,
            betas=(settings.betas[0], settings.betas[1]),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=fused or None,
        )
        self.loss_scale = LossScale(dtype)
        self.updates = 0
        self.skipped = 0
        self.scale = 1.0
        """1, or 0.5 after a restart."""
        self._bad_in_a_row = 0
        self._good = LastGood(own, self.adam)
        self._fused = fused
        on_cuda = {parameter.device.type for parameter in self.named.values()} == {"cuda"}
        # A loss scale is moved by every overflow, so float16 asks the device at every update.
        self._read_every = _PATIENCE if on_cuda and dtype != torch.float16 else 1
        self._unread: list[Tensor] = []
        """Whether the gradient of each latest update was finite, () bool each, still on the device."""
        self._sound: list[Tensor] = []
        """Whether its weights were, afterwards."""

    @property
    def lr(self) -> float:
        """Rate of the next update."""
        s = self.settings
        return s.lr * self.scale * rate_factor(self.updates, s.warmup, self.total, s.floor)

    def zero_grad(self) -> None:
        for parameter in self.named.values():
            parameter.grad = None

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradient, through the loss scale where there is one."""
        (loss if self.loss_scale.value == 1.0 else loss * self.loss_scale.value).backward()

    def step(self) -> dict[str, Any]:
        """Average over processes, clip, update, advance the schedule, drop the gradients.

        Returns:
            `grad_norm` (before clipping; on CUDA a () tensor that nobody has waited for, see
            `motionrft.training.numbers`), `lr` (used), `skipped` (updates known to have had no finite gradient).

        Raises:
            RunError: not finite for the second time ten updates in a row; names the first tensor that is not.
        """
        gradients = self._gradients()
        if self.loss_scale.value != 1.0:
            torch._foreach_mul_(gradients, 1.0 / self.loss_scale.value)
        norm = self._norm(gradients)
        lr, finite = self.lr, torch.isfinite(norm)
        self._unread.append(finite)
        due = self.updates % _KEPT_EVERY == 0
        if due or self._bad_in_a_row or len(self._unread) >= self._read_every:
            self._count()
        if due and not self._bad_in_a_row:
            self._good.keep()
        self._apply(norm, finite, lr)
        if due or lr * max(1.0, self.settings.weight_decay) > _HARMLESS:
            self._look_at_weights(finite)
        self.zero_grad()
        self.updates += 1
        return {
            "grad_norm": float(norm) if self._read_every == 1 else norm,
            "lr": lr,
            "skipped": float(self.skipped),
        }

    def state_dict(self) -> dict[str, Any]:
        """The state as one process would have it; with divided moments in the first alone, and to be called in all."""
        self._count()
        return {
            "adam": self.adam.state_dict() if self.division is None else self.division.whole(self.adam),
            "updates": self.updates,
            "skipped": self.skipped,
            "scale": self.scale,
            "loss_scale": self.loss_scale.state_dict(),
            "bad_in_a_row": self._bad_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        own = state["adam"] if self.division is None else self.division.share(state["adam"])
        self.adam.load_state_dict(copy.deepcopy(own))  # torch would share the tensors
        self.updates, self.skipped, self.scale = state["updates"], state["skipped"], state["scale"]
        self._bad_in_a_row = state["bad_in_a_row"]
        self.loss_scale.load_state_dict(state["loss_scale"])
        self._good.forget()
        self._unread, self._sound = [], []

    def _gradients(self) -> list[Tensor]:
        """Averaged over the processes; those of this process's own parameters where they are divided."""
        if self.company.processes == 1:
            return [parameter.grad for parameter in self.named.values() if parameter.grad is not None]
        gradients = self._whole_gradients()
        if self.division is not None:
            return self.division.collect()
        self.company.average(gradients)
        return gradients

    def _norm(self, gradients: list[Tensor]) -> Tensor:
        """() of all parameters' gradients."""
        if self.division is not None:
            return self.division.norm(gradients)
        return nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())

    def _whole_gradients(self) -> list[Tensor]:
        """A gradient for every parameter, zero where there is none: all processes must send equal shapes."""
        for parameter in self.named.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return [parameter.grad for parameter in self.named.values() if parameter.grad is not None]

    def _apply(self, norm: Tensor, finite: Tensor, lr: float) -> None:
        """Clip and step; AdamW's fused kernel leaves everything as it is where `found_inf` is 1."""
        if self.settings.clip is not None and not self._known_to_be_short(norm):
            nn.utils.clip_grads_with_norm_(self.named.values(), self.settings.clip, norm)
        for group in self.adam.param_groups:
            group["lr"] = lr
        if self._fused:
            self.adam.found_inf = (~finite).float()  # type: ignore[attr-defined]
            self.adam.step()
        elif finite:
            self.adam.step()
        if self.division is not None:
            self.division.spread()

    def _known_to_be_short(self, norm: Tensor) -> bool:
        """Whether clipping would multiply by 1, where the host knows the norm anyway."""
        return (
            self._read_every == 1
            and self.settings.clip is not None
            and float(norm) + 1e-6 <= self.settings.clip
        )

    def _look_at_weights(self, finite: Tensor) -> None:
        """Note whether all weights are finite; that reads each of them once."""
        # The Euclidean norm: the largest number itself takes twelve times as long to find on a processor.
        sizes = torch._foreach_norm([parameter.detach() for parameter in self.named.values()])
        weights = torch.isfinite(torch.stack([each.float() for each in sizes])).all()
        self._sound.append(weights | ~finite)  # an update that was skipped has left nothing
        if self._read_every == 1:
            self._check_weights()

    def _count(self) -> None:
        """Read which of the latest updates were skipped, in one go, and act on it."""
        self._check_weights()
        if not self._unread:
            return
        flags, self._unread = torch.stack(self._unread).tolist(), []
        for finite in flags:
            if finite:
                self.loss_scale.fitted()
                self._bad_in_a_row = 0
            else:
                self._skip()

    @torch.no_grad()
    def _check_weights(self) -> None:
        """A finite gradient times a huge rate is no finite weight, and without another update no gradient would tell."""
        sound, self._sound = self._sound, []
        if sound and not torch.stack(sound).all():
            name = next((name for name, p in self.named.items() if not torch.isfinite(p).all()), None)
            if name is None:
                return  # a norm overflowed over numbers that are finite
            raise RunError(
                f"Update {self.updates + 1} with rate {self.lr:g} left weights that are not finite, first {name}. "
                "Nothing of it is saved; what was saved before still stands. Try a smaller learning rate."
            )

    def _skip(self) -> None:
        self.skipped += 1
        if self.loss_scale.overflowed():
            return
        self._bad_in_a_row += 1
        if self._bad_in_a_row < _PATIENCE:
            return
        if self.scale < 1.0 or not self._good.kept:
            raise RunError(self._diagnosis())
        self._good.restore()
        if self.division is not None:
            self.division.spread()
        self.scale, self._bad_in_a_row = 0.5, 0

    def _diagnosis(self) -> str:
        for kind, tensors in (
            ("weight", self.named),
            ("gradient of", {name: p.grad for name, p in self.named.items() if p.grad is not None}),
        ):
            for name, tensor in tensors.items():
                bad = int((~torch.isfinite(tensor)).sum())
                if bad:
                    return (
                        f"{_PATIENCE} updates in a row had no finite gradient, at update {self.updates + 1}. "
                        f"First: {kind} {name}, {bad} of {tensor.numel()} values not finite. "
                        "Try a smaller learning rate or --precision fp32, or read metrics.jsonl."
                    )
        return f"{_PATIENCE} updates in a row overflowed the gradient norm. Try a smaller learning rate."
