"""Settings of `motionrft pretrain`: a generator's autoencoder and denoiser by supervised training."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from motionrft.presets.base import Preset, PresetPart
from motionrft.presets.training import OptimiserPreset


class AutoencoderStage(PresetPart):
    """Stage 1: the autoencoder, on reconstruction and KL."""

    updates: int = Field(6000, ge=1, description="optimiser updates")
    batch: int = Field(32, ge=1, description="clips an update")
    window: int = Field(64, ge=4, description="frames of each clip that an update sees")
    kl_weight: float = Field(
        2e-4, ge=0, description="weight of the KL divergence to N(0, I), per latent token"
    )
    motion_weight: float = Field(10.0, ge=0, description="weight of joint displacements, metres per frame")
    optimiser: OptimiserPreset = Field(OptimiserPreset(lr=2e-3), description="optimiser of the stage")


class DenoiserStage(PresetPart):
    """Stage 2: the denoiser, on latents of the frozen autoencoder."""

    updates: int = Field(12000, ge=1, description="optimiser updates")
    batch: int = Field(64, ge=1, description="clips an update")
    text_drop: float = Field(0.1, ge=0, le=1, description="share of captions replaced by the null text")
    loss_weight_cap: float = Field(
        10.0, ge=1, description="loss weight is clamp(noise/signal ratio, 1, cap); 1 weighs all times equally"
    )
    ema: float = Field(0.997, ge=0, lt=1, description="decay of the weights' moving average, which is kept")
    validate_every: int = Field(500, ge=1, description="updates between validations")
    patience: int = Field(
        0, ge=0, description="validations without improvement that end the stage; 0 never does"
    )
    optimiser: OptimiserPreset = Field(OptimiserPreset(lr=1e-3), description="optimiser of the stage")


class PretrainPreset(Preset):
    """Everything `motionrft pretrain` decides."""

    command: ClassVar[str] = "pretrain"

    generator: dict[str, Any] = Field(
        default_factory=dict,
        description="family and settings of the generator (`config.json` of a generator folder)",
    )
    data: str | None = Field(None, description="data set folder in HumanML3D's layout")
    min_frames: int = Field(16, ge=2, description="shortest clip used, frames")
    max_frames: int = Field(196, ge=2, description="longer clips are cut, frames")
    mirror: bool = Field(True, description="mirror half of the clips and their captions (kinematic only)")
    stage: Literal["autoencoder", "denoiser", "all"] = Field("all", description="which stage to train")
    checkpoint_every: int = Field(500, ge=1, description="updates between checkpoints")
    autoencoder: AutoencoderStage = Field(AutoencoderStage(), description="stage 1")
    denoiser: DenoiserStage = Field(DenoiserStage(), description="stage 2")
