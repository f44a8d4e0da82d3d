"""The models, prompts and reference data that travel with the package, so that a fresh machine can start.

`generator/`, `reward/` and `evaluator/` are model folders, `tokens/generator/` is one that writes motion tokens,
`tokens/clips.json` some recorded clips of known events as its tokens;
`prompts.jsonl` holds the training prompts, one
`{"text", "frames", "label"}` a line; `items/val` and `items/test` are held-out evaluation items (captions, lengths, and
the real clips as the built-in evaluator sees them; `motionrft.evaluation.items.FixedItems.load`). `world/` holds the same
of the wider world; its `prompts.jsonl` tells events, and says which prompts are held out. All come from the
Bandai-Namco-Research-Motiondataset: weights, prompts, embeddings and tokens are under CC BY-NC 4.0, unlike the code.
`make assets` makes them anew.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from motionrft.errors import UserError

NAME = "builtin"
"""What a preset writes to mean one of these."""
WORLD = "builtin-world"
"""What a preset writes to mean a model of the wider world: everyday motions and composed events (`world/`)."""
NAMES = (NAME, WORLD)
TOKENS = "builtin-tokens"
"""What a preset writes to mean the generator of motion tokens (`tokens/`); it has no reward or evaluator of its own."""
GENERATORS = (*NAMES, TOKENS)
FPS = 20.0
"""Rate that the prompts' frames are counted at."""

_ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Prompt:
    """A training prompt: what to make, how many frames of it, and what kind of motion that is."""

    text: str
    frames: int
    label: str


def path(model: str) -> Path:
    """Folder of a built-in model: `generator`, `reward` or `evaluator`.

    Raises:
        UserError: this installation carries none.
    """
    return _present(_ROOT / model, model)


def items_path(split: str, name: str = NAME) -> Path:
    """Folder of the held-out evaluation items of `val` or `test`, of `builtin` or `builtin-world`."""
    root = _ROOT / "world" if name == WORLD else _ROOT
    return _present(root / "items" / split, f"evaluation items ({split}) of {name}")


def world_prompts_path() -> Path:
    """File of the wider world's prompts: JSON lines, some of them held out (`motionrft.data.prompts`)."""
    return _present(_ROOT / "world" / "prompts.jsonl", "prompts of the wider world")


def clips_path() -> Path:
    """File of recorded clips, as tokens of `builtin-tokens` (`motionrft.preferences.recorded_clips`)."""
    return _present(_ROOT / "tokens" / "clips.json", "recorded clips")


def prompts() -> list[Prompt]:
    """The training prompts."""
    lines = _present(_ROOT / "prompts.jsonl", "prompts").read_text(encoding="utf-8").splitlines()
    return [Prompt(**json.loads(line)) for line in lines]


def resolve(name: str, model: str) -> Path:
    """The folder that a preset field means: a built-in model, or the path it names.

    Raises:
        UserError: there is no such built-in model.
    """
    if name == TOKENS:
        if model != "generator":
            raise UserError(f"{TOKENS} is a generator alone: its {model} is that of {NAME}.")
        return _present(_ROOT / "tokens" / model, f"{model} of motion tokens")
    if name == WORLD:
        return _present(_ROOT / "world" / model, f"{model} of the wider world")
    return path(model) if name == NAME else Path(name)


def _present(place: Path, what: str) -> Path:
    if not place.exists():
        raise UserError(
            f"this installation carries no built-in {what} ({place}). Install the released package, make the "
            "built-in models with `make assets`, or name your own."
        )
    return place
