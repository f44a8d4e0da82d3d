"""The models, prompts and reference data that travel with the package, so that a fresh machine can start.

`generator/`, `reward/` and `evaluator/` are model folders; `prompts/SPLIT.jsonl` holds prompts with the number of frames
of the clip that each describes; `reference/SPLIT.safetensors` holds the evaluator's embeddings of the real clips. All
were trained on, or computed from, the Bandai-Namco-Research-Motiondataset: weights, prompts and embeddings are under
CC BY-NC 4.0, unlike the code. `make assets` makes them anew.
"""

from pathlib import Path

from motionrft.errors import UserError

NAME = "builtin"
"""What a preset writes to mean one of these."""
MODELS = ("generator", "reward", "evaluator")
SPLITS = ("train", "val", "test")

_ROOT = Path(__file__).parent


def path(model: str) -> Path:
    """Folder of a built-in model: `generator`, `reward` or `evaluator`.

    Raises:
        UserError: this installation carries none.
    """
    return _present(_ROOT / model, model)


def prompts_path(split: str) -> Path:
    """JSON lines of a split: `{"id", "text", "frames", "label"}`."""
    return _present(_ROOT / "prompts" / f"{split}.jsonl", f"prompts of the split {split}")


def reference_path(split: str) -> Path:
    """safetensors of a split: real clips as the built-in evaluator sees them, and their physics."""
    return _present(_ROOT / "reference" / f"{split}.safetensors", f"reference of the split {split}")


def resolve(name: str, model: str) -> Path:
    """The folder that a preset field means: a built-in model, or the path it names."""
    return path(model) if name == NAME else Path(name)


def _present(place: Path, what: str) -> Path:
    if not place.exists():
        raise UserError(
            f"this installation carries no built-in {what} ({place}). Install the released package, make the "
            "built-in models with `make assets`, or name your own."
        )
    return place
