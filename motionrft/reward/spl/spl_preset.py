"""What `motionrft refine-spl` can be told."""

from typing import ClassVar, Literal

from pydantic import Field

from motionrft.reward.motionreward.preset import LossPart, NoisePart, SemanticPart
from motionrft.settings.base import Preset
from motionrft.training.preset import OptimiserPreset


class RefineSplPreset(Preset):
    """Settings of `motionrft refine-spl`."""

    command: ClassVar[str] = "refine-spl"

    reward: str = Field("builtin", description="reward folder or checkpoint to refine, or builtin")
    reward_rank: int | None = Field(
        None, ge=1, description="rank of a checkpoint's adapters, where several lie beside it"
    )
    data: str | None = Field(None, description="data set folder in HumanML3D's layout")
    variant: Literal["refinement", "paper", "official"] = Field(
        "refinement",
        description="refinement: mined in the whole training set without near-duplicates, one temperature; paper: the "
        "article's equations, mined there too; official: EasyTune's in-batch code",
    )
    top_k: int = Field(10, ge=1, description="a retrieval fails when the own motion is not among the k best")
    weight: float = Field(0.01, ge=0, description="weight of the refinement beside the stage-1 loss")
    temperature: float = Field(0.1, gt=0, description="temperature of winner against loser")
    duplicates: float = Field(
        0.8, gt=0, le=1, description="captions with a higher cosine describe the same: no wrong answers"
    )
    same_kind: bool = Field(True, description="motions of the query's own kind are no wrong answers either")
    bank_every: int = Field(100, ge=1, description="updates between two embeddings of the training set")
    updates: int = Field(2000, ge=1, description="optimiser updates")
    batch: int = Field(64, ge=2, description="clips in a batch, for the anchor and for the refinement each")
    batches: Literal["balanced", "distinct", "grouped"] = Field(
        "balanced",
        description="of the anchor; distinct: no two clips of one kind; grouped: half of it in groups that differ in "
        "order or number of events",
    )
    optimiser: OptimiserPreset = OptimiserPreset(lr=1e-5)
    loss: LossPart = LossPart()
    noise: NoisePart = NoisePart()
    gallery: int = Field(6, ge=0, description="failed retrievals to draw, own motion above what was found")
    checkpoint_every: int = Field(200, ge=1, description="updates between two checkpoints")
    time_limit: float | None = Field(None, gt=0, description="seconds after which it ends, or null")
    weights: Literal["fp32", "fp16"] = Field("fp32", description="number format of the saved weights")
    min_frames: int = Field(16, ge=1, description="shorter clips are left out, frames")
    max_frames: int = Field(196, ge=4, description="longer clips are cut, frames")

    def anchor(self) -> SemanticPart:
        """The stage-1 settings of the loss that keeps the reward where it was."""
        return SemanticPart(
            updates=self.updates,
            batch=self.batch,
            batches=self.batches,
            optimiser=self.optimiser,
            loss=self.loss,
            noise=self.noise,
            validate_every=self.updates,
        )
