"""What `motionrft train-reward` can be told."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from motionrft.reward.motionreward.sizes import PUBLISHED_SIZES, WIDTHS, RewardSize
from motionrft.settings.base import Preset, PresetPart
from motionrft.training.preset import OptimiserPreset

Representation = Literal["kinematic", "joints", "rotation"]


class RewardModelPart(PresetPart):
    """The network. Numbers that are not given are those of the named size."""

    size: Literal["retrieval_original", "tiny", "small", "base", "large", "xlarge", "xxlarge", "giant"] = (
        Field("tiny", description="published size that the numbers below depart from")
    )
    latent: int | None = Field(None, ge=8, description="width of the embeddings and of the text tower")
    width: int | None = Field(None, ge=8, description="width of the motion tower")
    layers: int | None = Field(None, ge=1, description="layers of the motion tower, odd")
    heads: int | None = Field(None, ge=1, description="attention heads of the motion tower")
    feedforward: int | None = Field(None, ge=8, description="feed-forward width of the motion tower")
    text_layers: int | None = Field(None, ge=1, description="layers of the text tower, odd")
    text_heads: int | None = Field(None, ge=1, description="attention heads of the text tower")
    text_feedforward: int | None = Field(None, ge=8, description="feed-forward width of the text tower")
    projection_hidden: int | None = Field(None, ge=8, description="hidden width of the projections")
    projection_layers: int | None = Field(None, ge=1, le=8, description="linear layers of a projection")
    representations: tuple[Representation, ...] | None = Field(
        None, min_length=1, description="representations to judge; null: those that the data set holds"
    )
    stack: int = Field(1, ge=1, le=16, description="frames joined into one token")
    local_joints: bool = Field(
        False, description="read joints from the body, a window of `stack` frames at a time, not in the world"
    )
    mode: Literal["M0T0", "M1T0", "M0T1", "M1T1"] = Field(
        "M1T0", description="which tower is told the noise level: M1 motion, T1 text"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout on activations and residual branches")
    attention_dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout on attention weights; 0 keeps the fused kernels on a CPU"
    )
    log_variance_init: float | None = Field(
        None, description="bias of the log-variance at the start; -5 speeds a short training up"
    )

    def resolved(self, text_width: int, widths: Mapping[str, int] = WIDTHS) -> RewardSize:
        """The size to build.

        Args:
            text_width: of the text encoder's states.
            widths: features of a frame by representation, of all that may be judged; HumanML3D's if not given.
        """
        given = {
            name: value for name, value in self.model_dump(exclude={"size"}).items() if value is not None
        }
        names: tuple[str, ...] = self.representations or tuple(widths)
        shapes = {"representations": names, "widths": tuple(widths[name] for name in names)}
        base = PUBLISHED_SIZES[self.size].to_dict()
        return RewardSize.from_dict({**base, **given, **shapes, "text_width": text_width})

    @model_validator(mode="after")
    def _shapes_fit(self) -> "RewardModelPart":
        size = self.resolved(text_width=1)
        for name, layers in (("layers", size.layers), ("text_layers", size.text_layers)):
            if layers % 2 == 0:
                raise ValueError(f"{name} must be odd (skip connections pair the layers), not {layers}")
        for name, width, heads in (
            ("width", size.width, size.heads),
            ("latent", size.latent, size.text_heads),
            ("latent", size.latent, size.heads),
        ):
            if width % heads:
                raise ValueError(f"{name} {width} does not divide into {heads} attention heads")
        return self


class NoisePart(PresetPart):
    """Noise-aware training."""

    probability: float = Field(0.0, ge=0, le=1, description="share of samples (official: batches) noised")
    max_t: int = Field(500, ge=1, le=1000, description="timesteps are drawn below it")
    early: float = Field(0.8, ge=0, le=1, description="share of the draws in the first tenth of the steps")
    compat: Literal["honest", "official"] = Field(
        "honest", description="honest: clean means t = 0; official: the published recipe, faults included"
    )


class LossPart(PresetPart):
    """Weights of the stage-1 terms, and how they are formed."""

    reconstruction: float = Field(1.0, ge=0, description="weight of the three reconstruction terms")
    kl: float = Field(1e-5, ge=0, description="weight of the four divergences")
    latent: float = Field(1e-5, ge=0, description="weight of the distance of the two samples")
    contrastive: float = Field(0.1, ge=0, description="weight of InfoNCE")
    alignment: float = Field(0.1, ge=0, description="weight of the cross-representation loss")
    order: float = Field(0.1, ge=0, description="weight of InfoNCE inside each group of a grouped batch")
    temperature: float = Field(0.1, gt=0, description="temperature of InfoNCE")
    false_negatives: float | None = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="captions with (cosine + 1) / 2 above it are no negatives; null: all are",
    )
    pairs: Literal["all", "official"] = Field(
        "all",
        description="representations to align: mean over all pairs (article), or sum of kinematic with each other (code)",
    )
    align_every: int = Field(1, ge=1, description="updates between two that align representations")
    decoded: float = Field(1.0, gt=0, le=1, description="share of the batch that the decoder sees")
    mask_padding: bool = Field(True, description="leave padded frames out of the reconstruction")


class SemanticPart(PresetPart):
    """Stage 1: text and motion in one space."""

    mirror: bool = Field(
        False, description="every other batch as its mirror image, left and right exchanged in captions too"
    )
    updates: int = Field(27000, ge=1, description="optimiser updates")
    batch: int = Field(128, ge=2, description="clips in a batch")
    batches: Literal["balanced", "distinct", "grouped"] = Field(
        "balanced",
        description="distinct: no two clips of a batch are of the same kind; grouped: half of it in groups that differ "
        "in order or number of events (column group of index.csv)",
    )
    only: tuple[Representation, ...] | None = Field(
        None,
        min_length=1,
        description="with base: bring these representations alone to the network as it is, by their own layers; "
        "towers, text and what the others score stay exactly; null: everything is trained",
    )
    optimiser: OptimiserPreset = OptimiserPreset(lr=1e-4, warmup=1000)
    loss: LossPart = LossPart()
    noise: NoisePart = NoisePart()
    validate_every: int = Field(500, ge=1, description="updates between two looks at the validation split")


class CriticPart(PresetPart):
    """What stages 2 and 3 share: a low-rank adapter with a head, on the frozen motion tower."""

    rank: int = Field(16, ge=1, description="rank of the adapter")
    alpha: float = Field(32.0, gt=0, description="scale; the adapter counts alpha / rank")
    updates: int = Field(3000, ge=1, description="optimiser updates")
    batch: int = Field(128, ge=2, description="pairs (preference) or clips (authenticity) in a batch")
    optimiser: OptimiserPreset = OptimiserPreset(lr=1e-4, weight_decay=1e-4, warmup=100)


class PreferencePart(CriticPart):
    """Stage 2: which of two motions people prefer."""

    pairs: str | None = Field(
        None,
        description="pairs.jsonl, or a published critic_train_*.pth; null: real motion with known faults",
    )
    count: int = Field(4096, ge=2, description="pairs to make where none are given")
    kinds: list[str] = Field(
        ["jitter", "foot_skating", "time_warp", "joint_limits", "cut_and_paste", "floating"],
        min_length=1,
        description="kinds of fault to train on",
    )
    held_out: list[str] = Field([], description="kinds of fault that are only looked at in validation")
    validation: int = Field(600, ge=2, description="pairs made of the validation split")


def _several(value: object) -> object:
    """`a,b` or one name as a tuple of names; anything else is left to the validator."""
    return tuple(word.strip() for word in value.split(",")) if isinstance(value, str) else value


class AuthenticityPart(CriticPart):
    """Stage 3: real or generated."""

    fakes: Annotated[tuple[str, ...] | None, BeforeValidator(_several)] = Field(
        None,
        min_length=1,
        description="where generated motions come from, several at once: generators to sample from (folders, "
        "checkpoints, builtin), folders of motions, ai_generated_*.pth; null: the built-in generator, if the data is "
        "HumanML3D's kind, and it is said",
    )
    count: int = Field(
        512, ge=2, description="clips to generate for training, shared among the generators given"
    )
    validation: int = Field(128, ge=2, description="clips to generate of the validation split, another seed")
    steps: int | None = Field(None, ge=1, description="denoising steps; null: the generator's own")
    guidance: float | None = Field(None, description="guidance scale; null: the generator's own")


class EvaluatorPart(PresetPart):
    """The evaluator that judges results: another network, seed and order of data than any reward."""

    updates: int = Field(840, ge=1, description="optimiser updates")
    batch: int = Field(64, ge=2, description="clips in a batch, no two of the same kind")
    batches: Literal["distinct", "grouped"] = Field(
        "distinct",
        description="grouped: half of a batch in groups that differ in order or number of events (column group of "
        "index.csv), so that results tell these too",
    )
    lr: float = Field(1e-3, gt=0, description="learning rate at the start of its cosine")
    weight_decay: float = Field(1e-2, ge=0, description="AdamW's decoupled weight decay")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="smoothing of the contrastive targets")
    feature_noise: float = Field(0.15, ge=0, description="deviation of noise on the normalised features")


class TrainRewardPreset(Preset):
    """Settings of `motionrft train-reward`."""

    command: ClassVar[str] = "train-reward"

    data: str | None = Field(None, description="data set folder in HumanML3D's layout")
    stage: Literal["semantic", "preference", "authenticity", "all", "evaluator"] = Field(
        "semantic",
        description="which stage to train; all trains the first three in order, skipping finished ones; evaluator "
        "trains a judge for results instead of a reward",
    )
    text: str = Field("minilm", description="frozen text encoder")
    model: RewardModelPart = RewardModelPart()
    semantic: SemanticPart = SemanticPart()
    preference: PreferencePart = PreferencePart()
    authenticity: AuthenticityPart = AuthenticityPart()
    evaluator: EvaluatorPart = EvaluatorPart()
    checkpoint_every: int = Field(200, ge=1, description="updates between two checkpoints")
    time_limit: float | None = Field(
        None, gt=0, description="seconds after which a stage ends, its rate at the floor by then, or null"
    )
    base: str | None = Field(
        None,
        description="reward folder or checkpoint that later stages start from, or that --stage semantic trains further; "
        "null: the one in --out",
    )
    base_rank: int | None = Field(
        None, ge=1, description="rank of a checkpoint's adapters, where several lie beside it"
    )
    weights: Literal["fp32", "fp16"] = Field("fp32", description="number format of the saved weights")
    min_frames: int = Field(16, ge=1, description="shorter clips are left out, frames")
    max_frames: int = Field(196, ge=4, description="longer clips are cut, frames")

    @model_validator(mode="after")
    def _brought_to_something(self) -> "TrainRewardPreset":
        if self.semantic.only is not None and (self.base is None or self.stage != "semantic"):
            raise ValueError(
                "semantic.only brings representations to a network as it is: it needs base, and stage semantic alone"
            )
        return self
