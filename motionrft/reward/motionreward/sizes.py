"""The published sizes of MotionReward, and the configuration that fixes one network. No torch here."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from motionrft.errors import UserError

Mode = Literal["M0T0", "M1T0", "M0T1", "M1T1"]
"""Which tower gets the timestep: M1 the motion tower, T1 the text tower."""

OFFICIAL_NAMES: dict[str, str] = {"kinematic": "263", "joints": "22x3", "rotation": "135"}
"""Representation to its name in parameter keys and in published files."""

WIDTHS = {"kinematic": 263, "joints": 66, "rotation": 135}
"""Features of one frame, flattened."""


@dataclass(frozen=True)
class RewardSize:
    """All that fixes the shape of a MotionReward network.

    latent: L, width of the embeddings, the text tower and the decoder.
    width: D, width of the motion tower.
    layers, heads, feedforward: the motion tower's (and the decoder's); text_*: the text tower's.
    projection: hidden width and number of layers of each representation's projection.
    stack: frames joined into one token of the motion tower and of the decoder. 1 as published.
    positions: rows of the position tables; the longest motion is one less (two less with a time token).
    time_features: width of the timestep sinusoids.
    mode: which tower gets the timestep.
    dropout, attention_dropout: on activations and residual branches; on attention weights (where it costs the
        fused attention kernels on a CPU).
    local_joints: joints are read from the body, one window of `stack` frames at a time (`seen_from_windows`), and
        not in the world as published.
    log_variance_init: bias of the log-variance half of both towers' last layer; None keeps torch's. At -5 the
        first samples are informative, and a short training gets several times as far.
    """

    latent: int = 128
    width: int = 256
    layers: int = 3
    heads: int = 4
    feedforward: int = 512
    text_layers: int = 3
    text_heads: int = 4
    text_feedforward: int = 512
    projection_hidden: int = 256
    projection_layers: int = 2
    text_width: int = 1024
    representations: tuple[str, ...] = ("kinematic", "joints", "rotation")
    widths: tuple[int, ...] = (263, 66, 135)
    stack: int = 1
    local_joints: bool = False
    positions: int = 500
    time_features: int = 512
    mode: Mode = "M1T0"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    log_variance_init: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "RewardSize":
        """From a configuration file's mapping.

        Raises:
            UserError: it names a field that does not exist.
        """
        unknown = sorted(set(values) - set(RewardSize.__dataclass_fields__))
        if unknown:
            raise UserError(f"reward configuration: unknown field {unknown[0]!r}")
        lists: dict[str, Any] = {
            name: tuple(values[name]) for name in ("representations", "widths") if name in values
        }
        return RewardSize(**{**values, **lists})

    def window(self, representation: str) -> int | None:
        """Frames that are seen from the body together, or None where a motion is read as it is."""
        return self.stack if self.local_joints and representation == "joints" else None

    def feature_width(self, representation: str) -> int:
        """Features of one frame of the representation.

        Raises:
            UserError: the network was not built for it.
        """
        if representation not in self.representations:
            known = ", ".join(self.representations)
            raise UserError(f"this reward judges {known}, not {representation}; convert the motion first")
        return self.widths[self.representations.index(representation)]


def _size(
    latent: int, width: int, layers: int, heads: tuple[int, int], ff: int, hidden: int, n: int
) -> RewardSize:
    return RewardSize(
        latent=latent,
        width=width,
        layers=layers,
        heads=heads[0],
        feedforward=ff,
        text_layers=layers,
        text_heads=heads[1],
        text_feedforward=ff,
        projection_hidden=hidden,
        projection_layers=n,
    )


PUBLISHED_SIZES = {
    "retrieval_original": _size(256, 256, 9, (4, 4), 1024, 256, 1),
    "tiny": _size(128, 256, 3, (4, 4), 512, 256, 2),
    "small": _size(192, 384, 5, (6, 6), 768, 384, 2),
    "base": _size(256, 512, 9, (4, 4), 1024, 512, 3),
    "large": _size(384, 768, 11, (6, 6), 1536, 768, 3),
    "xlarge": _size(512, 1024, 11, (8, 8), 2048, 1024, 3),
    "xxlarge": _size(384, 768, 11, (12, 6), 3072, 768, 3),
    "giant": _size(448, 896, 13, (14, 7), 3584, 896, 3),
}
"""The model sizes of the published code; weights were released for `tiny`."""
