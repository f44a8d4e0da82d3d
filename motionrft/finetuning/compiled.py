"""A compiled network call for the denoising steps that build no graph: most of a trajectory.

On CUDA the call is captured in CUDA graphs, so a step costs one launch instead of hundreds. Nothing in the
loop asks the device, which is what makes this possible. Weights may be updated in place between calls.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from motionrft.generators.base import Generator


def compiled_predict(generator: Generator, **options: Any) -> Callable[..., Tensor]:
    """`generator.predict` compiled, without gradient.

    Args:
        options: of `torch.compile`; by default CUDA graphs where the generator is on a CUDA device.
    """
    on_cuda = generator.device.type == "cuda"
    options = options or ({"mode": "reduce-overhead"} if on_cuda else {})
    predict = torch.compile(generator.predict, dynamic=False, **options)

    def compiled_predict(*arguments: Any) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        with torch.no_grad():
            answer: Tensor = predict(*arguments)
            # A captured graph writes its next answer to the same place.
            return answer.clone() if on_cuda else answer

    return compiled_predict
