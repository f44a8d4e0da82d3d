"""Recorded clips that travel with the package, as tokens: what a judge is validated on where no data set is named.

They come back through the VQ-VAE of `builtin-tokens`, so a joint is some centimetres off and two of a kind may be alike;
who has recordings names them instead.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from motionrft import builtin
from motionrft.errors import UserError
from motionrft.generators.folder import read_generator
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.token_generator import TokenGenerator
from motionrft.preferences.candidates import codebook_identity
from motionrft.representations.convert import convert
from motionrft.representations.names import JOINTS
from motionrft.reward.events import Shown
from motionrft.training.atomic import write_text
from motionrft.training.fingerprints import path_hash

_OF_AN_EVENT = 12
"""Clips of one event that are kept."""

Clips = dict[str, list[tuple[Shown, Tensor]]]
"""Event to clips (T, 22, 3) that show it."""


def recorded_clips() -> tuple[Clips, float, str]:
    """Clips by event, their frames a second, and a hash of what they come from.

    Raises:
        UserError: this installation has none, or they belong to another codebook.
    """
    path = builtin.clips_path()
    generator = read_generator(builtin.resolve(builtin.TOKENS, "generator"))
    assert isinstance(generator, TokenGenerator)
    held = json.loads(path.read_text(encoding="utf-8"))
    if held["codebook"] != codebook_identity(generator):
        raise UserError(
            f"{path}: tokens of another codebook than {builtin.TOKENS} has; `make assets` writes them anew."
        )
    found: Clips = {}
    for event, there in held["clips"].items():
        tokens = MotionTokens.of([each["tokens"] for each in there])
        motion, lengths = generator.decode(tokens)  # (n, T, D)
        for each, clip, frames in zip(there, motion, lengths.tolist(), strict=True):
            joints = convert(clip[None, :frames], generator.representation, JOINTS)[0]
            shaped = joints.float().reshape(frames, -1, 3)  # (T, 22, 3)
            found.setdefault(event, []).append((Shown(event, each["whole"]), shaped))
    return found, generator.fps, path_hash(path)


@torch.no_grad()
def pack_clips(
    clips: Mapping[str, Sequence[tuple[Shown, Tensor]]], generator: TokenGenerator, path: Path
) -> int:
    """Write some clips of each event, (T, 22, 3) at the generator's rate, as its tokens; how many there are."""
    rows = {}
    for event, there in sorted(clips.items()):
        chosen = there[:: -(-len(there) // _OF_AN_EVENT)]
        rows[event] = [
            {"whole": what.whole, "tokens": _tokens(generator, clip).tolist()} for what, clip in chosen
        ]
    text = json.dumps({"codebook": codebook_identity(generator), "clips": rows}, separators=(",", ":"))
    write_text(path, text + "\n")
    return sum(map(len, rows.values()))


def _tokens(generator: TokenGenerator, clip: Tensor) -> Tensor:
    motion = convert(clip[None].float(), JOINTS, generator.representation)
    return generator.encode(motion, torch.tensor([motion.shape[1]])).rows()[0]
