"""Put the built-in generator of motion tokens together: in half precision, with a card that says what was measured."""

from pathlib import Path

import motionrft.builtin
from motionrft.data.folder import MotionDataset
from motionrft.data.motions import Motions
from motionrft.evaluation.evaluators.loading import load_evaluator
from motionrft.evaluation.generation import evaluate_generator
from motionrft.evaluation.items import FixedItems
from motionrft.evaluation.result import EvaluationResult
from motionrft.generators.folder import read_generator
from motionrft.generators.token_generator import TokenGenerator
from motionrft.preferences.recorded_clips import pack_clips
from motionrft.preferences.validation import real_clips
from motionrft.pretraining.builtin_models import LICENCE, MEASURED
from motionrft.pretraining.token_stage import TokenStage
from motionrft.reward.events import SHOWN
from motionrft.training.weights import save_weights

SEEDS = range(5)


def assemble_tokens(data: Path, generator: Path, out: Path | None = None) -> dict[str, EvaluationResult]:
    """Write a generator's half-precision folder to `out` (None: into this installation), measured as it is written, and
    recorded clips of known events as its tokens beside it.

    Returns:
        Results on the test items: `asked`, at the lengths asked for, and `own`, ending by itself.
    """
    out = out or Path(motionrft.builtin.__file__).parent / "tokens" / "generator"
    model = read_generator(generator)
    assert isinstance(model, TokenGenerator)
    halved = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(halved)
    evaluator, items = load_evaluator(motionrft.builtin.path("evaluator")), FixedItems.builtin("test")
    results = {
        ending: evaluate_generator(
            model, None, evaluator, items, SEEDS, model.sampling(ending=ending), name=ending
        )
        for ending in ("asked", "own")
    }
    test = Motions(MotionDataset(data, "test"), model.representation, model.fps, model.max_frames)
    card = token_card(model, TokenStage(model).quality(test), results, len(items.items))
    save_weights(out, halved, {"family": model.family, **model.to_config()}, card)
    pack_clips(real_clips(test.dataset, SHOWN), model, out.parent / "clips.json")
    return results


def token_card(
    model: TokenGenerator, quality: dict[str, float], results: dict[str, EvaluationResult], items: int
) -> str:
    """Data, licence, command, and what the held-out split says of the generator."""
    asked, own = results["asked"], results["own"]
    codes, stride, how = model.vocabulary.codes, model.stride, asked.protocol
    rows = [
        f"| {name} | {asked.mean(name):.3f} | {own.mean(name):.3f} | {sum(asked.real[name]) / len(SEEDS):.3f} |"
        for name in MEASURED
    ]
    return "\n".join(
        [
            "# The built-in generator of motion tokens",
            "",
            f"A VQ-VAE over HumanML3D features (263, 20 fps; {codes} codes, {stride} frames a token)",
            "and a decoder-only language model that attends to MiniLM token states: MotionGPT's idea at a laptop's size.",
            "",
            "Made by `motionrft pretrain --preset mini-motiongpt` (seed 0) on the training part of `split_strict`;",
            "`make assets` repeats it. A third of what it learnt are composed events: two clips' tokens after each",
            "other, or one clip's repeated.",
            "",
            f"Held-out split: reconstruction error {quality['error_mm']:.1f} mm (heading-aligned), jitter of",
            f"reconstructions {quality['jitter_ratio']:.2f} times real, {quality['codes_used']:.0f} codes in use.",
            f"Samples at temperature {how['temperature']:g} and guidance {how['guidance']:g}, {items} items,",
            f"{len(SEEDS)} seeds, by the built-in evaluator:",
            "",
            "| | length asked for | own length | real |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Licence",
            "",
            LICENCE,
            "",
        ]
    )
