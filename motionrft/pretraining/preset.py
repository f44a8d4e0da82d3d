"""Settings of `motionrft pretrain`: a generator's autoencoder and denoiser or language model, or its distillation."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from motionrft.settings.base import PresetPart
from motionrft.text.preset import TextPreset
from motionrft.training.preset import OptimiserPreset


class CodebookPart(PresetPart):
    """The codebook of a family of motion tokens, which follows its encoder by running means."""

    commit: float = Field(0.25, ge=0, description="weight of the distance of encoder outputs to their codes")
    decay: float = Field(0.97, ge=0, lt=1, description="of a code's running sum and count")
    dead: float = Field(
        0.1,
        ge=0,
        description="running count (rows a batch) below which a code is replaced; published 1 is for 8 rows a code",
    )
    replace: Literal["rows", "random"] = Field(
        "random", description="by what: row k of the batch (as published), or a random row, counted anew"
    )


class AutoencoderStage(PresetPart):
    """Stage 1, of families that have an autoencoder: reconstruction, and KL where it has a posterior."""

    updates: int = Field(6000, ge=1, description="optimiser updates")
    batch: int = Field(32, ge=1, description="clips an update")
    window: int = Field(64, ge=4, description="frames of each clip that an update sees")
    kl_weight: float = Field(
        2e-4, ge=0, description="weight of the KL divergence to N(0, I), per latent token"
    )
    motion_weight: float = Field(10.0, ge=0, description="weight of joint displacements, metres per frame")
    loss: Literal["joints", "features"] = Field(
        "joints", description="of motion tokens: joints and weighted features, or features alone as published"
    )
    decoder_only: bool = Field(
        False,
        description="of a base: its decoder alone is trained further; latents, and so its denoiser, keep their meaning",
    )
    settle: int = Field(
        0,
        ge=0,
        description="of motion tokens: further updates in which codes stay as they are and the decoder alone learns",
    )
    codebook: CodebookPart = Field(CodebookPart(), description="the codebook, of motion tokens")
    optimiser: OptimiserPreset = Field(OptimiserPreset(lr=2e-3), description="optimiser of the stage")


class DenoiserStage(PresetPart):
    """Stage 2: the denoiser, on frames or on latents of the frozen autoencoder."""

    updates: int = Field(12000, ge=1, description="optimiser updates")
    batch: int = Field(64, ge=1, description="clips an update")
    text_drop: float = Field(0.1, ge=0, le=1, description="share of captions replaced by the null text")
    token_drop: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of a caption's token states that are hidden: other words for the same are met",
    )
    loss_weight_cap: float = Field(
        10.0, ge=1, description="loss weight is clamp(noise/signal ratio, 1, cap); 1 weighs all times equally"
    )
    ema: float = Field(0.997, ge=0, lt=1, description="decay of the weights' moving average, which is kept")
    validate_every: int = Field(500, ge=1, description="updates between validations")
    patience: int = Field(
        0, ge=0, description="validations without improvement that end the stage; 0 never does"
    )
    optimiser: OptimiserPreset = Field(OptimiserPreset(lr=1e-3), description="optimiser of the stage")


class LanguageModelStage(PresetPart):
    """Stage 2 of motion tokens: the language model, on texts and the tokens of their motions."""

    updates: int = Field(2000, ge=1, description="optimiser updates")
    batch: int = Field(32, ge=1, description="motions an update")
    composed: int = Field(
        3000, ge=0, description="composed events to make: two clips after each other, or one repeated; 0 none"
    )
    composed_share: float = Field(0.35, ge=0, lt=1, description="share of them among what is drawn")
    corrupt: float = Field(
        0.6, ge=0, le=1, description="largest share of a motion's tokens that are misheard while it is learnt"
    )
    text_drop: float = Field(0.1, ge=0, le=1, description="share of captions replaced by the empty text")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the weights' moving average, which is kept")
    validate_every: int = Field(250, ge=1, description="updates between validations")
    optimiser: OptimiserPreset = Field(
        OptimiserPreset(lr=1e-3, weight_decay=0.05), description="optimiser of the stage"
    )


class Distillation(PresetPart):
    """What stage 2 minimises where there is a teacher: consistency between neighbouring times (MotionLCM)."""

    times: int = Field(
        10, ge=1, le=1000, description="DDIM times of the teacher; a step skips 1000 / times training times"
    )
    guidance_from: float = Field(6.0, ge=1, description="least guidance scale of the teacher that is drawn")
    guidance_to: float = Field(16.0, ge=1, description="largest guidance scale of the teacher that is drawn")
    ema: float = Field(0.95, ge=0, lt=1, description="decay of the target network's moving average")
    huber: float = Field(0.5, gt=0, description="error at which the pseudo-Huber loss turns linear")


class PretrainPreset(TextPreset):
    """Everything `motionrft pretrain` decides."""

    command: ClassVar[str] = "pretrain"

    generator: dict[str, Any] = Field(
        default_factory=dict,
        description="family and settings of the generator (`config.json` of a generator folder)",
    )
    teacher: str | None = Field(
        None, description="MLD folder or checkpoint that a MotionLCM is distilled from, instead of two stages"
    )
    base: str | None = Field(
        None,
        description="generator whose weights the stages begin with; its configuration and statistics stay, "
        "`generator` does not count",
    )
    data: str | None = Field(None, description="data set folder in HumanML3D's layout")
    split: str = Field("train", description="split to train on: train, or a list such as train-without-kick")
    validation_split: str = Field("val", description="split that its quality is measured on")
    min_frames: int = Field(16, ge=2, description="shortest clip used, frames of the data set")
    max_frames: int = Field(196, ge=2, description="longer clips are cut, frames of the data set")
    mirror: bool = Field(True, description="mirror half of the clips and their captions")
    feature_bias: float = Field(
        1.0, gt=0, description="divides the std of root terms and foot contacts (kinematic); 1 leaves it"
    )
    stage: Literal["autoencoder", "denoiser", "language-model", "all"] = Field(
        "all", description="which stage to train"
    )
    time_limit: float | None = Field(
        None, gt=0, description="seconds after which a stage ends, its rate at the floor by then, or null"
    )
    checkpoint_every: int = Field(500, ge=1, description="updates between checkpoints")
    autoencoder: AutoencoderStage = Field(AutoencoderStage(), description="stage 1")
    denoiser: DenoiserStage = Field(DenoiserStage(), description="stage 2")
    language_model: LanguageModelStage = Field(LanguageModelStage(), description="stage 2 of motion tokens")
    distillation: Distillation = Field(Distillation(), description="stage 2 with a teacher")

    @model_validator(mode="after")
    def _one_forerunner(self) -> "PretrainPreset":
        if self.base is not None and self.teacher is not None:
            raise ValueError(
                "base and teacher exclude each other: a distillation begins with its teacher's weights"
            )
        if self.autoencoder.decoder_only and self.base is None:
            raise ValueError("autoencoder.decoder_only is of a base, whose encoder stays: name it with base")
        return self
