"""From judgements to pairs: the best against the worst, the second best against the second worst, and so on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionrft.preferences.candidates import Candidates
from motionrft.preferences.prompts import EventPrompt
from motionrft.training.atomic import atomic_file, write_text

DEGREES = ((0.75, "Much better"), (0.5, "Better"), (0.3, "Slightly better"))
UNSURE = "Negligibly better/unsure"
DEGREE_SMOOTHING = {"Much better": 0.0, "Better": 0.2, "Slightly better": 0.3, UNSURE: 0.5}
"""Share of judges who may have meant the opposite, by the published words for how much better a motion is."""


@dataclass(frozen=True)
class Pair:
    """better, worse: places among the candidates of the prompt. margin: difference of their scores."""

    prompt: EventPrompt
    better: int
    worse: int
    margin: float

    @property
    def degree(self) -> str:
        """How much better, in the published label file's words."""
        return next((name for least, name in DEGREES if self.margin >= least), UNSURE)


def pairs_of(
    prompt: EventPrompt, scores: Mapping[int, float], per_prompt: int = 3, margin: float = 0.2
) -> list[Pair]:
    """At most `per_prompt` pairs of one prompt, equal scores never.

    Args:
        scores: candidate to score; candidates without one are left out.
    """
    ranked = sorted(scores, key=lambda place: (-scores[place], place))
    found = []
    for rank in range(min(per_prompt, len(ranked) // 2)):
        better, worse = ranked[rank], ranked[-1 - rank]
        difference = scores[better] - scores[worse]
        if difference >= margin and difference > 0:
            found.append(Pair(prompt, better, worse, round(difference, 6)))
    return found


def balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """As many pairs of each kind, the clearest first: a kind with many would be paid for by the others."""
    kinds: dict[str, list[Pair]] = {}
    for pair in pairs:
        kinds.setdefault(pair.prompt.kind, []).append(pair)
    fewest = min(map(len, kinds.values()), default=0)
    return [pair for group in kinds.values() for pair in sorted(group, key=lambda p: -p.margin)[:fewest]]


def write_pairs(
    out: Path, name: str, pairs: Sequence[Pair], read: Mapping[str, Candidates], judge: str
) -> None:
    """`NAME.jsonl` with its motions in `motions/`, and the same in the published label layout, `NAME_labels.jsonl`."""
    lines, labels = [], []
    for number, pair in enumerate(pairs):
        held = read[pair.prompt.id]
        files = [_motion(out, pair.prompt.id, place, held) for place in (pair.better, pair.worse)]
        shared = {"id": number, "prompt": pair.prompt.text}
        lines.append(
            {
                **shared,
                "kind": pair.prompt.kind,
                "events": pair.prompt.events,
                "count": pair.prompt.count,
                "better": files[0],
                "worse": files[1],
                "margin": pair.margin,
                "degree": pair.degree,
                "judge": judge,
            }
        )
        labels.append({**shared, **_label(files, pair, held, judge)})
    for ending, rows in ((".jsonl", lines), ("_labels.jsonl", labels)):
        write_text(out / f"{name}{ending}", "".join(json.dumps(row) + "\n" for row in rows))


def _motion(out: Path, prompt: str, place: int, held: Candidates) -> str:
    """A candidate as a motion file of its own; its path below `out`."""
    path = out / "motions" / f"{prompt}-{place}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"motion": held.motions[place][: held.lengths[place]], "fps": np.array(held.fps)}
        if held.tokens is not None:
            tokens = held.tokens.rows()[place].numpy()
            arrays |= {"tokens": tokens, "codebook": np.array(held.codebook)}
        with atomic_file(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    return path.relative_to(out).as_posix()


def _label(files: Sequence[str], pair: Pair, held: Candidates, judge: str) -> dict[str, Any]:
    places = (pair.better, pair.worse)
    samples = {
        f"sample_{number}": {"features": file, "gif": "", "from": "motionrft", "seed": int(held.seeds[place])}
        for number, (file, place) in enumerate(zip(files, places, strict=True), 1)
    }
    return {**samples, "chosen": [{"choice": "sample_1", "degree of preference": pair.degree, "user": judge}]}
