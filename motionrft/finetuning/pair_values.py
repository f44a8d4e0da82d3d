"""What the tuned and the untuned generator say of both motions of each pair, whichever kind of generator it is."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PairValues:
    """Values (B,) of better and worse motions under the tuned generator, and under the untuned one (`reference`).

    Log-probabilities of motion tokens, where more is likelier, or errors of denoising, where less is.
    """

    won: Tensor  # (B,)
    lost: Tensor  # (B,)
    won_reference: Tensor  # (B,)
    lost_reference: Tensor  # (B,)

    @property
    def won_drift(self) -> Tensor:
        """(B,) how much the value of the better motions grew by tuning."""
        return self.won - self.won_reference

    @property
    def lost_drift(self) -> Tensor:
        """(B,) the same of the worse ones."""
        return self.lost - self.lost_reference

    @property
    def gap(self) -> Tensor:
        """(B,) how much better and worse parted; zero before any update."""
        return (self.won - self.lost) - (self.won_reference - self.lost_reference)
