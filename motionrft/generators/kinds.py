"""The two kinds of generators, and what sampling of either can be told. Free of torch, for presets."""

from typing import Literal

Kind = Literal["diffusion", "tokens"]
KIND_WORDS: dict[Kind, str] = {"diffusion": "diffusion generators", "tokens": "generators of motion tokens"}
DIFFUSION_FIELDS = ("sampler", "eta", "steps", "guidance", "shift")
TOKEN_FIELDS = ("temperature", "top_k", "guidance", "masked", "ending")

Ending = Literal["asked", "own", "cut"]
"""How a generator of motion tokens ends a motion: `asked` writes exactly the frames asked for, `own` ends by itself,
`cut` ends by itself and is cut to what was asked for.
"""
