"""A reward of the user's own: a function of joints, or a class with the whole interface, as one term.

    def low_hands(joints, lengths, texts, fps):  # (B, T, 22, 3) metres, (B,), B texts, frames a second
        return -joints[:, :, 20:22, 1].mean(dim=(1, 2))  # (B,), higher is better

It is named `my_module:low_hands` on the command line, or by an installed package's entry point. Where it gives no
gradient (it says so with `differentiable = False`, or a trial shows it) only methods that need none can use it.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from motionrft.errors import Interrupted, RunError, UserError, is_out_of_memory
from motionrft.registry import REWARDS, load_place
from motionrft.representations.convert import convert
from motionrft.reward.base import Learnt, Reward, RewardCondition, RewardFamily
from motionrft.reward.naming import own_name
from motionrft.settings.code import is_place
from motionrft.training.fingerprints import code_hash, text_hash

TRIAL = (2, 40, 22, 3)
"""Shape of the joints that a function is tried with."""


def load_own(name: str, representation: str = "kinematic", fps: float = 20.0) -> Learnt:
    """The reward that a name means, with weight 1.

    Raises:
        UserError: it cannot be imported, made, or called.
    """
    thing = _made(_imported(name), name)
    if isinstance(thing, Learnt):
        return thing
    if isinstance(thing, Reward):
        return WholeReward(thing, own_name(name), representation, fps)
    if not callable(thing):
        raise UserError(f"{name}: {type(thing).__name__} is neither a function nor a Reward")
    return FunctionReward(thing, own_name(name), representation, fps)


def own_identity(name: str) -> str:
    """A hash of the file that holds the code, by which a run knows that its reward has changed."""
    return text_hash(name, code_hash(_imported(name)))


def _imported(name: str) -> Any:
    if not is_place(name):
        return REWARDS.load(name)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # after everything else: a file here shadows no installed module
    try:
        return load_place(name)
    except AttributeError as error:
        raise UserError(f"{name}: {error}") from None
    except ImportError as error:
        raise UserError(
            f"{name}: cannot be imported: {error}. Run where the module is, or install it."
        ) from error


def _made(thing: Any, name: str) -> Any:
    """An instance, where a class was named."""
    if isinstance(thing, RewardFamily):
        raise UserError(f"{name}: a family of reward folders; name a folder of it")
    if not isinstance(thing, type):
        return thing
    try:
        return thing()
    except TypeError as error:
        raise UserError(f"{name}: cannot be made without arguments: {error}") from None


class FunctionReward(Learnt):
    """A function (joints, lengths, texts, fps) -> (B,) as a reward with one term.

    Args:
        name: of its term.
        representation: of the motions that `forward` gets; they are converted to joints.
        fps: of those motions.
    """

    family: ClassVar[str] = "function"

    def __init__(
        self, function: Callable[..., Any], name: str, representation: str = "kinematic", fps: float = 20.0
    ) -> None:
        super().__init__()
        self.function, self.name, self.representation, self.fps = function, name, representation, fps
        if isinstance(function, torch.nn.Module):
            function.eval().requires_grad_(False)
        self.weights = {name: 1.0}
        said = getattr(function, "differentiable", None)
        self.differentiable = self._gives_gradient() if said is None else bool(said)

    @property
    def terms(self) -> tuple[str, ...]:
        return (self.name,)

    def config(self) -> dict[str, Any]:
        raise UserError(f"{self.name} is code, which is not saved as a reward folder")

    def expect(self, representation: str) -> None:
        self.representation = representation

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        """The texts as they are."""
        return RewardCondition(captions=tuple(texts))

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        joints = convert(
            motion.float(), self.representation, "joints", lengths
        )  # (B, T, J, 3), or 3 J numbers
        joints = joints.unflatten(-1, (-1, 3)) if joints.dim() == 3 else joints
        with torch.set_grad_enabled(self.differentiable and torch.is_grad_enabled()):
            value = self._judged(joints, lengths, condition.captions)  # (B,)
        return self.weights.get(self.name, 0.0) * value, {self.name: value}

    def _judged(self, joints: Tensor, lengths: Tensor, texts: Sequence[str]) -> Tensor:
        """`_asked`, (B,), and a failure of the user's code says whose it is; memory that ran out is not its own."""
        try:
            return self._asked(joints, lengths, texts)
        except (UserError, RunError, Interrupted):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise RunError(
                f"reward {self.name}: fails on {len(joints)} motions: {type(error).__name__}: {error} "
                "(--debug shows where). What was saved before stays."
            ) from error

    def _asked(self, joints: Tensor, lengths: Tensor, texts: Sequence[str]) -> Tensor:
        """(B,) float32 on the joints' device; raises `UserError` for another shape."""
        given = joints if self.differentiable else joints.detach()
        found = torch.as_tensor(self.function(given, lengths, list(texts), self.fps)).to(joints)
        if found.shape != (len(joints),):
            raise UserError(
                f"reward {self.name}: returned shape {tuple(found.shape)} for {len(joints)} motions; it has to be "
                f"({len(joints)},), one number a motion, higher is better."
            )
        return found

    def _gives_gradient(self) -> bool:
        """Whether a trial on made-up joints comes back with a graph."""
        joints = torch.rand(TRIAL, generator=torch.Generator().manual_seed(0))  # (2, T, 22, 3)
        lengths, texts = torch.tensor([TRIAL[1], TRIAL[1] - 8]), ["a person walks", "a person waves"]
        for self.differentiable in (True, False):
            try:
                found = self._asked(joints.requires_grad_(self.differentiable), lengths, texts)
                return found.requires_grad
            except UserError:
                raise
            except Exception as error:
                failed = (
                    error  # a function through numpy refuses what has a graph, and is asked once more without
                )
        raise UserError(
            f"reward {self.name}: fails on joints {TRIAL}: {type(failed).__name__}: {failed}"
        ) from failed


class WholeReward(Learnt):
    """A `Reward` with the whole interface as one term beside others; what it computes by name is reported too.

    Args:
        reward: judges in its own representation, to which motions are converted.
    """

    family: ClassVar[str] = "whole"

    def __init__(
        self, reward: Reward, name: str, representation: str = "kinematic", fps: float = 20.0
    ) -> None:
        super().__init__()
        self.reward, self.name, self.representation = (
            reward.eval().requires_grad_(False),
            name,
            representation,
        )
        self.weights, self.differentiable = {name: 1.0}, reward.differentiable
        if hasattr(reward, "fps"):
            setattr(reward, "fps", fps)  # noqa: B010  (a module's attributes are typed as tensors or modules)

    @property
    def terms(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def width(self) -> int:
        return self.reward.width

    @property
    def learnt_noise(self) -> bool:
        return self.reward.learnt_noise

    def config(self) -> dict[str, Any]:
        raise UserError(f"{self.name} is code, which is not saved as a reward folder")

    def expect(self, representation: str) -> None:
        self.representation = representation

    def settle(self) -> None:
        self.reward.settle()

    def prepare(
        self, texts: Sequence[str], references: Tensor | None = None, lengths: Tensor | None = None
    ) -> RewardCondition:
        if references is not None:
            references = convert(references, self.representation, self.reward.representation, lengths)
        return self.reward.prepare(texts, references, lengths)

    def forward(
        self, motion: Tensor, lengths: Tensor, condition: RewardCondition, t: Tensor | int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        own = convert(motion, self.representation, self.reward.representation, lengths)  # (B, T, ...)
        total, terms = self.reward(own, lengths, condition, t)  # (B,), and (B,) each
        return self.weights.get(self.name, 0.0) * total, {self.name: total, **terms}
