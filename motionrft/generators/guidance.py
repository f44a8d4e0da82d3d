"""Classifier-free guidance with both halves in one batch (Ho and Salimans 2022)."""

import torch
from torch import Tensor

from motionrft.errors import UserError
from motionrft.generators.base import Condition
from motionrft.text.base import TextFeatures, stack


def both_halves(condition: Condition) -> TextFeatures:
    """Features of the B prompts, then of the null prompt B times: (2B, ...).

    Raises:
        UserError: the condition has no null prompt.
    """
    if condition.null is None:
        raise UserError("this generator has no null prompt: guidance must be 1")
    return stack([condition.text, condition.null.expand(len(condition))])  # (2B, L, D) tokens


def doubled(x: Tensor) -> Tensor:
    """(B, ...) to (2B, ...), for the two halves; a () timestep serves both as it is."""
    return x if x.dim() == 0 else torch.cat([x, x])


def guided(prediction: Tensor, scale: float | Tensor) -> Tensor:
    """null + scale (text - null) of a (2B, ...) prediction, (B, ...); a tensor of scales broadcasts against that."""
    text, null = prediction.chunk(2)  # (B, ...) each
    return null + scale * (text - null)  # (B, ...)


def without_states(condition: Condition, dropped: Tensor | None) -> Condition:
    """Zeros in place of the text states where (B,) `dropped`; the token mask stays the prompt's."""
    if dropped is None:
        return condition
    text = condition.text
    tokens = text.tokens.masked_fill(dropped.to(text.tokens.device)[:, None, None], 0.0)  # (B, L, D)
    return Condition(TextFeatures(tokens, text.mask), condition.null)
