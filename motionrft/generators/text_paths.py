"""How text features enter a latent denoiser: each path turns (B, L, W) states into (B, L', D) tokens."""

from collections.abc import Callable
from functools import partial

from torch import nn

from motionrft.generators.text_queries import TextQueries
from motionrft.linear import Linear
from motionrft.text.base import TextFeatures


class ProjectedText(nn.Sequential):
    """One linear layer a token, after an activation or none; its published name is `emb_proj.1` either way."""

    def __init__(self, activation: nn.Module, text_width: int, hidden: int):
        super().__init__(activation, Linear(text_width, hidden))

    def forward(self, text: TextFeatures) -> TextFeatures:
        return TextFeatures(super().forward(text.tokens), text.mask)


TEXT_PATHS: dict[str, Callable[[int, int], nn.Module]] = {
    "relu": lambda text_width, hidden: ProjectedText(nn.ReLU(), text_width, hidden),
    "linear": lambda text_width, hidden: ProjectedText(nn.Identity(), text_width, hidden),
    "queries": TextQueries,
    "queries-8": partial(TextQueries, queries=8),
}


def text_path(name: str, text_width: int, hidden: int) -> nn.Module:
    """The path of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in TEXT_PATHS:
        raise ValueError(f"no text path is called {name!r}; there are {', '.join(TEXT_PATHS)}")
    return TEXT_PATHS[name](text_width, hidden)
