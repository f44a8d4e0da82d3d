"""The two halves of a denoising step, compiled: the network's call, and decoding with judgement as one.

On CUDA both are captured in CUDA graphs, so a step costs a few launches instead of hundreds. Nothing in them asks the
device, which is what makes this possible. Weights may be updated in place between calls.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from motionrft.diffusion.rollout import Compiled, RewardFunction
from motionrft.errors import UserError
from motionrft.finetuning.captured import captured
from motionrft.generators.base import Generator


def quickened(
    how: bool | Literal["auto", "graphs"], generator: Generator, reward: RewardFunction
) -> Compiled | None:
    """What the preset's `compile` asks for.

    `auto` captures only what is known to ask the device nothing: someone else's network or reward may.

    Raises:
        UserError: CUDA graphs are asked for, and the generator is on another device.
    """
    if how == "auto":
        known = isinstance(reward, nn.Module) and _ours(generator) and _ours(reward)
        how = "graphs" if generator.device.type == "cuda" and known else False
    if how == "graphs":
        if generator.device.type != "cuda":
            raise UserError(
                f"compile: graphs captures CUDA graphs, and the device is {generator.device.type}. "
                "Set compile to true or false, or name --device cuda."
            )
        return captured(generator, reward)
    return compiled(generator, reward) if how else None


def _ours(module: nn.Module) -> bool:
    """Whether every part is of this package, or of the libraries it builds on."""
    packages = {type(part).__module__.partition(".")[0] for part in module.modules()}
    return packages <= {"motionrft", "torch", "peft"}


def compiled(generator: Generator, reward: RewardFunction, **options: Any) -> Compiled:
    """`generator.predict`, and the judgement of a state, compiled whole; one graph each.

    Args:
        options: of `torch.compile`; by default CUDA graphs where the generator is on a CUDA device.
    """
    on_cuda = generator.device.type == "cuda"
    options = {"fullgraph": True, **(options or ({"mode": "reduce-overhead"} if on_cuda else {}))}

    def decode_and_judge(
        state: Tensor, lengths: Tensor, frames: int | None, condition: Any, level: Tensor | int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return reward(generator.decode(state, lengths, frames), lengths, condition, level)

    predict = torch.compile(generator.predict, **options)
    judged = torch.compile(decode_and_judge, **options)
    return Compiled(
        _kept(predict) if on_cuda else predict, judged, chains=not on_cuda, begin=_begin if on_cuda else None
    )


def _begin() -> None:
    """What captured calls gave before is not needed any more: the next ones may write to the same place."""
    torch.compiler.cudagraph_mark_step_begin()


def _kept(predict: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The answer (B, ...) in memory of its own: a captured graph writes its next answer to the same place."""

    def call(*arguments: Any) -> Tensor:
        return predict(*arguments).clone()

    return call
