"""What every evaluator is: two frozen encoders, one of motions and one of captions, into one space."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from motionrft.data.captions import Caption
from motionrft.errors import UserError


class Evaluator(nn.Module, ABC):
    """Embeds motions and captions for the metrics. Frozen, in eval mode; never the reward that was trained
    on.

    Results depend on no other item of the batch and on no padding, so batches of any size and order agree.
    """

    name: str
    """What a table calls it."""
    identity: str
    """A hash of weights, statistics and words: numbers of different identities are never compared."""
    representation: str
    """What `embed_motion` takes: `kinematic`, `joints` or `rotation`."""
    fps: float
    min_frames: int
    """Shorter motions have no embedding."""
    width: int | None = None
    """Values a frame of the motions it reads, flattened; None where any skeleton's will do."""
    embeds: bool = True
    """False where nothing is embedded, so that retrieval, FID and distances cannot be measured."""
    comparable: bool = True
    """Whether published numbers were made with it; False for the built-in one, and tables say so."""

    def check_fits(self, width: int, whose: str) -> None:
        """Refuse motions of another skeleton or layout than the one it was trained on.

        Args:
            width: values a frame in `representation`; whose: where they come from, for the message.

        Raises:
            UserError: says both widths, and what to do.
        """
        if self.width is not None and width != self.width:
            raise UserError(
                f"{self.name} reads {self.width} {self.representation} values a frame, and {whose} has {width}. "
                "Name an evaluator of that data with --evaluator DIR (Guo et al.'s checkpoints/kit for KIT-ML)."
            )

    @abstractmethod
    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """(B, E) embeddings of `motion` (B, T, D), de-normalised, in `representation`, with (B,)
        `lengths`."""

    @abstractmethod
    def embed_text(self, captions: Sequence[Caption]) -> Tensor:
        """(B, E) embeddings of B captions.

        Raises:
            UserError: the evaluator reads word/TAG tokens and a caption has none.
        """
