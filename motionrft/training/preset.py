"""The fields that every training preset shares: what `motionrft.training.optimiser.Optimiser` reads."""

from pydantic import Field

from motionrft.settings.base import PresetPart


class OptimiserPreset(PresetPart):
    """AdamW, its schedule over updates, and clipping."""

    lr: float = Field(1e-4, gt=0, description="learning rate after the warm-up")
    betas: tuple[float, float] = Field((0.9, 0.999), description="decay of AdamW's two moments")
    eps: float = Field(1e-8, gt=0, description="AdamW's denominator floor")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's decoupled weight decay")
    clip: float | None = Field(1.0, gt=0, description="largest gradient norm; null does not clip")
    warmup: int = Field(0, ge=0, description="updates over which the rate climbs to lr")
    floor: float = Field(0.0, ge=0, le=1, description="fraction of lr that the cosine ends at")
    divided: bool = Field(
        False,
        description="of several processes, each keeps AdamW's moments of its own share of the weights (ZeRO stage 1); "
        "a process alone keeps all",
    )
