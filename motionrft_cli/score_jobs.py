"""score --jobs: several processes of one machine, a block of files at a time, told in the order of the input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from motionrft.errors import UserError
from motionrft.reward.score_preset import ScorePreset
from motionrft_cli.console import Console
from motionrft_cli.judging import Judge, Told, judge_of, told_of
from motionrft_cli.motion_texts import MotionTexts
from motionrft_cli.options import Call

BLOCK = 16
"""Files: the reward judges as many motions at once."""


@dataclass(frozen=True)
class _Asked:
    """All that a process needs to judge, as text: processes are sent it with every block."""

    preset: str
    json: bool
    out: Path | None
    under: tuple[tuple[str, float], ...]
    over: tuple[tuple[str, float], ...]


def told_by_jobs(
    call: Call[ScorePreset],
    under: dict[str, float],
    over: dict[str, float],
    texts: MotionTexts,
    numbered: Sequence[tuple[int, Path]],
) -> "Iterator[Told]":
    """What is told of every motion of the files, given with their places among all; blocks come as they are done.

    Raises:
        UserError: texts come one a motion.
    """
    from motionrft.files.parallel import mapped

    if texts.one_a_motion:
        raise UserError("--jobs: texts one a motion are dealt out in order, which one process does.")
    asked = _Asked(
        call.preset.to_yaml(),
        call.json,
        call.out,
        tuple(under.items()),
        tuple(over.items()),
    )
    blocks = [numbered[start : start + BLOCK] for start in range(0, len(numbered), BLOCK)]
    for block in mapped(partial(_told_of_block, asked, texts), blocks, min(call.preset.jobs, len(blocks))):
        yield from block


def _told_of_block(asked: _Asked, texts: MotionTexts, numbered: list[tuple[int, Path]]) -> "list[Told]":
    call, judge = _prepared(asked)
    return told_of(call, judge, texts, numbered)


@lru_cache(maxsize=1)
def _prepared(asked: _Asked) -> "tuple[Call[ScorePreset], Judge]":
    """A process loads the reward once."""
    from motionrft.settings.plain_yaml import read_yaml

    preset = ScorePreset.of(read_yaml(asked.preset, "preset"))
    call = Call("score", preset, Console(asked.json), asked.out, json=asked.json)
    return call, judge_of(call, dict(asked.under), dict(asked.over), call.device())
