"""Everything a run reads, found and named before any of it is loaded: generator, reward, evaluator,
prompts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from motionrft import builtin
from motionrft.data.folder import MotionDataset
from motionrft.data.prompts import read_prompt_file
from motionrft.errors import UserError
from motionrft.finetuning.fitting import (
    check_contrast,
    check_gradient,
    check_perception,
    check_skeleton,
    other_rate,
)
from motionrft.finetuning.given_prompts import looked_at_data, prompt_path, prompt_seconds, split_prompts
from motionrft.finetuning.held_out import EventTest, HeldOut, TestSet, held_out
from motionrft.finetuning.methods.base import usable_methods
from motionrft.finetuning.pairs import read_pair_prompts
from motionrft.finetuning.preset import FinetunePreset
from motionrft.finetuning.prompts import PromptSet, from_dataset, from_texts
from motionrft.generators.base import Generator, diffusion
from motionrft.generators.kinds import KIND_WORDS, Kind
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.loading import (
    generator_identity,
    is_brought,
    load_generator,
    load_reward,
    loaded_for,
    reward_identity,
)
from motionrft.official.rewards import Beside
from motionrft.parsing import read_json
from motionrft.registry import GENERATORS
from motionrft.reward.balance import balanced
from motionrft.reward.base import Reward
from motionrft.reward.kimodo_terms import FEATURE_COSTS, feature_weights, with_feature_costs
from motionrft.reward.scaled import Scaled
from motionrft.training.fingerprints import path_hash, text_hash
from motionrft.training.weights import CONFIG


@dataclass(frozen=True)
class Parts:
    """What a run works with, on its device.

    validation, held_out: items for the watch and for the tables, None where there is nothing to look at.
    source: of the data set that the generator comes from, where the preset asks what was forgotten.
    events: prompts of events for the tables, where there are any.
    """

    generator: Generator
    reward: Reward
    prompts: PromptSet
    validation: TestSet | None
    held_out: TestSet | None
    source: TestSet | None = None
    events: EventTest | None = None


def identities(preset: FinetunePreset) -> dict[str, str]:
    """Hashes of what the run reads, for `env.json` and for `--resume`.

    Raises:
        UserError: something is not there.
    """
    found = {"generator": generator_identity(preset.generator)}
    weights = {name: weight for name, weight in preset.weights.items() if name not in FEATURE_COSTS}
    if any(weights.values()):
        found["reward"] = reward_identity(preset.reward, weights)
    if preset.text_features is not None:
        if not Path(preset.text_features).is_file():
            raise UserError(f"{preset.text_features}: no such file of text features.")
        found["text"] = path_hash(preset.text_features)
    if preset.constraints is not None:
        if not Path(preset.constraints).exists():
            raise UserError(f"{preset.constraints}: no such file or folder of constraints.")
        found["constraints"] = path_hash(preset.constraints)
    if preset.pairs is not None:
        if not Path(preset.pairs).exists():
            raise UserError(f"{preset.pairs}: no such file of pairs.")
        found["data"] = path_hash(preset.pairs)
    elif preset.prompts is not None:
        given = read_prompt_file(prompt_path(preset))
        told = [str(each) for each in (*(given.seconds or ()), *(given.held_out or ()))]
        found["data"] = text_hash(*given.texts, *told)
    elif preset.data is not None:
        found["data"] = MotionDataset(preset.data, preset.split).identity
    else:
        found["data"] = text_hash(*(f"{p.text} {p.frames}" for p in builtin.prompts()))
    looked_at = looked_at_data(preset)
    if preset.watch.every and looked_at not in (None, *builtin.NAMES):
        found["validation"] = MotionDataset(str(looked_at), preset.validation_split).identity
    return found


def load_parts(
    preset: FinetunePreset, device: torch.device, say: Callable[[str], None] = lambda _: None
) -> Parts:
    """Load everything; `say` is told what will not be looked at.

    Raises:
        UserError: something is missing, damaged, or does not fit together.
    """
    generator = load_tuned(preset, device)
    reward, known = load_weighed(preset, generator, device)
    check_gradient(preset, reward)
    check_perception(preset, reward)
    if preset.balance and known is not None:
        real = None if preset.data is None else MotionDataset(preset.data, preset.split)
        acting = ", ".join(f"{name} {weight:.3g}" for name, weight in balanced(known, real).items())
        say(f"weights balanced by each term's spread on real motions: {acting}")
    check_skeleton(preset, generator, reward)
    if another := other_rate(reward, generator.fps):
        say(f"{preset.reward} {another}")
    if any(isinstance(part, Scaled) for part in reward.modules()):
        say(
            f"{preset.reward} learnt from people: joints are multiplied by {generator.size:.2f} for it, to a person's "
            "legs. Proportions stay those of the robot: prefer physics, and look at the motions."
        )
    looked_at = held_out(preset, generator, device, say)
    if reward is not known:
        generator.decode_features()
    prompts = load_prompts(preset, generator)
    if asked := generator.check_asked(prompts.texts, prompts.lengths):
        say(asked)
    if said := check_contrast(reward, prompts):
        say(said)
    _check_texts(generator, prompts, looked_at)
    if generator.warning:
        say(generator.warning)
    own_file = preset.prompts not in (None, builtin.WORLD)
    if own_file and (said := read_prompt_file(prompt_path(preset)).said):
        say(said)
    held = (looked_at.validation, looked_at.test, looked_at.source, looked_at.events)
    return Parts(generator, reward, prompts, *held)


def _check_texts(generator: Generator, prompts: PromptSet, looked_at: HeldOut) -> None:
    """Refuse texts that could not be encoded here, those of the tables among them, before hours of tuning are over."""
    if not hasattr(generator, "text_encoder_name"):
        return
    sets = prompts.captions or [(text,) for text in prompts.texts]
    texts = [text for several in sets for text in several]
    for test in (looked_at.validation, looked_at.test, looked_at.source):
        items = [] if test is None else test.items.items
        texts += [caption.text for item in items for caption in item.captions]
    texts += [prompt.text for prompt in looked_at.events.prompts] if looked_at.events else []
    generator.text_encoder.check(texts)


def load_weighed(
    preset: FinetunePreset, generator: Generator, device: torch.device | str
) -> tuple[Reward, Reward | None]:
    """The reward with its terms weighed, costs of the generator's own features among them; and the part without those.

    Raises:
        UserError: it is missing, or a term has a weight that nobody gives.
    """
    beside = Beside(data=None if preset.data is None else Path(preset.data), rank=preset.reward_rank)
    costs, weights = feature_weights(preset.weights, generator.feature_costs)
    known = None
    if any(weights.values()) or not costs:
        known = load_reward(
            preset.reward, weights, generator.representation, generator.fps, device, beside, generator.size
        )
    reward = with_feature_costs(known, costs, generator.feature_rest).to(device) if costs else known
    assert reward is not None, "a reward without costs has been loaded"
    return reward, known


def load_tuned(preset: FinetunePreset, device: torch.device | str) -> Generator:
    """The diffusion generator that is tuned.

    Raises:
        UserError: there is none, or the method fits another kind.
    """
    generator = loaded_for(preset, load_generator(preset.generator, device))
    check_kind(preset, generator)
    check_fields(preset, TOKEN_SETTINGS, generator)
    return diffusion(generator, preset.generator, "this trainer takes")


def generator_kind(place: str) -> Kind:
    """Which kind of generator is there, by its configuration where it has one.

    Raises:
        UserError: there is none, or a damaged one.
    """
    config = Path(builtin.resolve(place, "generator")) / CONFIG
    if is_brought(place) or not config.is_file():
        return load_generator(place).kind
    family = str(read_json(config).get("family"))
    kind: Kind = GENERATORS.load(family).kind if family in GENERATORS else "diffusion"
    return kind  # loading another says what is wrong with it


def check_kind(preset: FinetunePreset, generator: TextToMotion) -> None:
    """Refuse a method that does not fit the generator's kind.

    Raises:
        UserError: as said; it names those that fit.
    """
    if generator.kind in preset.method.fits:
        return
    fitting = [name for name, method in usable_methods().items() if generator.kind in method.preset.fits]
    mine = " and ".join(KIND_WORDS[kind] for kind in sorted(preset.method.fits))
    raise UserError(
        f"{preset.generator}: {preset.method.method} tunes {mine}, and {generator.family} is one of the "
        f"{KIND_WORDS[generator.kind]}: set --method to {' or '.join(fitting) or 'a package that brings one'}."
    )


TOKEN_SETTINGS = (
    "method.loss",
    "method.average",
    "method.smoothing",
    "method.guard",
    "method.fresh",
    "events.kinds",
    "events.names",
)
DIFFUSION_SETTINGS = (
    "data", "prompts", "seconds", "frames", "reward", "reward_rank", "weights", "balance", "reference", "steps",
    "sampler", "eta", "shift", "guidance", "compile", "ema", "evaluation.events",
    *(f"method.{name}" for name in (
        "variant", "history", "least", "shared_noise", "weight", "cut", "share", "kl_form",
    )),
)  # fmt: skip
"""What only one kind of generator is tuned with."""


def check_fields(preset: FinetunePreset, foreign: Sequence[str], generator: TextToMotion) -> None:
    """Refuse what is set and does not act on this kind of generator.

    Raises:
        UserError: as said.
    """
    for field in foreign:
        group, _, name = field.rpartition(".")
        mine = getattr(preset, group) if group else preset
        known = type(mine).model_fields.get(name)
        if known is not None and getattr(mine, name) != known.get_default(call_default_factory=True):
            raise UserError(
                f"{field} does not act on {generator.family}, one of the {KIND_WORDS[generator.kind]}: leave it out."
            )


def load_prompts(preset: FinetunePreset, generator: Generator) -> PromptSet:
    """The prompts to tune on: given pairs', those of a file that are not held out, a data set's, or the built-in ones."""
    if preset.pairs is not None:
        return read_pair_prompts(Path(preset.pairs), generator)
    if preset.prompts is not None:
        given = read_prompt_file(prompt_path(preset))
        rows, seconds = split_prompts(preset, given).tuned, prompt_seconds(preset, given, generator.fps)
        if not rows:
            raise UserError(
                f"{preset.prompts}: all of its prompts are held out, so there is none to tune on."
            )
        lengths = torch.tensor([seconds[row] for row in rows])
        return from_texts([given.texts[row] for row in rows], generator, lengths)
    if preset.data is not None:
        return from_dataset(MotionDataset(preset.data, preset.split), generator, preset.seed)
    prompts = builtin.prompts()
    frames = generator.frames(torch.tensor([prompt.frames for prompt in prompts]) / builtin.FPS)
    labels = _numbered(prompt.label for prompt in prompts)
    return PromptSet([prompt.text for prompt in prompts], frames, labels)


def _numbered(labels: Iterable[str | None]) -> torch.Tensor | None:
    names = list(labels)
    if any(name is None for name in names):
        return None
    order = {name: number for number, name in enumerate(sorted({str(name) for name in names}))}
    return torch.tensor([order[str(name)] for name in names])
