"""What one set of motions measures: embeddings of the evaluator and physics of the joints, item by item."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor, nn

from motionrft.data import pad
from motionrft.errors import UserError
from motionrft.evaluation.caption_agreement import raised_hand, turned_side
from motionrft.evaluation.evaluators.base import Evaluator
from motionrft.evaluation.metrics import Gaussian
from motionrft.physics import RENAMED_MEASURES, current_names, physics_measures
from motionrft.representations.convert import convert, converted_lengths
from motionrft.representations.kinematic import skeleton_of_joints
from motionrft.skeleton import SMPL22


@dataclass(frozen=True)
class Measured:
    """N motions as the metrics see them, on the device that judged them.

    embeddings: (N, E). physics: by name (N,): `MEASURES`, and the sides `hand` and `turn` (see `caption_agreement`).
    """

    embeddings: Tensor  # (N, E)
    physics: dict[str, Tensor]

    @cached_property
    def gaussian(self) -> Gaussian:
        """Fitted to the embeddings once, however often a generator is compared with these motions."""
        return Gaussian.fit(self.embeddings)

    def index(self, items: Tensor) -> "Measured":
        items = items.to(self.embeddings.device)
        return Measured(self.embeddings[items], {name: value[items] for name, value in self.physics.items()})

    @classmethod
    def joined(cls, parts: Sequence["Measured"]) -> "Measured":
        """One after the other."""
        physics = {name: torch.cat([part.physics[name] for part in parts]) for name in parts[0].physics}
        return cls(torch.cat([part.embeddings for part in parts]), physics)

    def to(self, device: torch.device | str) -> "Measured":
        return Measured(
            self.embeddings.to(device), {name: value.to(device) for name, value in self.physics.items()}
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """Flat, for a safetensors file."""
        return {"embeddings": self.embeddings} | {f"physics/{name}": v for name, v in self.physics.items()}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> "Measured":
        named = {
            name.removeprefix("physics/"): v for name, v in tensors.items() if name.startswith("physics/")
        }
        return cls(tensors["embeddings"], current_names(named, RENAMED_MEASURES))


def measure_clips(evaluator: Evaluator, clips: Iterable[Tensor], batch: int = 64) -> Measured:
    """Judge real motions (T, D) in the evaluator's representation, read as they are needed: a whole test set,
    padded at once, would fill a gigabyte."""
    source, parts = iter(clips), []
    while chunk := list(islice(source, batch)):
        parts.append(measure(evaluator, *pad(chunk), evaluator.representation, batch))
    return Measured.joined(parts)


def measure(
    evaluator: Evaluator,
    motion: Tensor,
    lengths: Tensor,
    representation: str,
    batch: int = 64,
    rest: Tensor | None = None,
) -> Measured:
    """Judge N motions.

    Args:
        motion: (N, T, D), de-normalised, in `representation`, at the evaluator's rate.
        lengths: (N,) frames, on the CPU.
        rest: as `converted`.

    Raises:
        UserError: a motion is shorter than the evaluator can read.
    """
    if int(lengths.min()) < evaluator.min_frames:
        raise UserError(
            f"a motion has {int(lengths.min())} frames; {evaluator.name} needs at least {evaluator.min_frames}."
        )
    device = device_of(evaluator)
    parts = []
    for start in range(0, len(motion), batch):
        frames = lengths[start : start + batch]  # (B,)
        clip = motion[start : start + batch, : int(frames.max())].to(device)  # (B, T, D)
        parts.append(_measure_batch(evaluator, clip, frames.to(device), representation, rest))
    return Measured.joined(parts)


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes; one that has no weights (a reward of physics alone, no evaluator) takes the CPU."""
    weight = next(module.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


@torch.no_grad()
def _measure_batch(
    evaluator: Evaluator, motion: Tensor, lengths: Tensor, representation: str, rest: Tensor | None
) -> Measured:
    seen, frames = converted(motion, lengths, representation, evaluator.representation, rest)  # (B, T, D)
    joints, joint_frames = converted(motion, lengths, representation, "joints", rest)  # (B, T, J, 3), (B,)
    return Measured(evaluator.embed_motion(seen, frames), physics(joints, joint_frames, evaluator.fps))


def converted(
    motion: Tensor, lengths: Tensor, source: str, target: str, rest: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A motion in another representation with its lengths (features are a frame shorter than joints); joints
    come as (B, T, J, 3).

    Args:
        rest: (J, 3) rest joints that the source needs (`TextToMotion.feature_rest`).
    """
    motion = convert(motion, source, target, lengths, rest)  # (B, T, D), or joints (B, T, J, 3)
    if target == "joints" and motion.dim() == 3:
        motion = motion.unflatten(-1, (-1, 3))  # (B, T, J, 3)
    return motion, converted_lengths(lengths, source, target)


def physics(joints: Tensor, lengths: Tensor, fps: float) -> dict[str, Tensor]:
    """Physical measures of joints (B, T, J, 3), by name, (B,) each; `hand` for SMPL-22 alone."""
    measures = physics_measures(joints, lengths, fps)
    measures["turn"] = turned_side(joints, lengths)  # (B,)
    if skeleton_of_joints(joints.shape[2]) is SMPL22:
        measures["hand"] = raised_hand(joints, lengths)  # (B,)
    return measures


def mean_distance(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Mean distance of the joints of two lists of clips about their roots, in the clips' unit."""
    distances = []
    for a, b in zip(first, second, strict=True):
        frames = min(len(a), len(b))
        apart = (a[:frames] - a[:frames, :1]) - (b[:frames] - b[:frames, :1])  # (T, J, 3)
        distances.append(apart.norm(dim=-1).mean())  # () of (T, J) distances
    return float(torch.stack(distances).mean())
