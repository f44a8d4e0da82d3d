"""Settings of `motionrft convert`."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from motionrft.files.reading_preset import ReadingPreset
from motionrft.files.words import array_words, target_words
from motionrft.registry import GENERATORS
from motionrft.settings.base import PresetPart
from motionrft.settings.fields import suggests

Groups = dict[Literal["train", "val", "test"], Annotated[int, Field(ge=0)]]
"""Split to how many."""


class ComposePart(PresetPart):
    """Composed clips that are added to a data set: two or three events in several orders, one event several times."""

    pairs: Groups = Field({}, description="split to number of pairs of clips; each gives two orders")
    threes: Groups = Field(
        {}, description="split to number of three clips after each other; each gives two orders"
    )
    counts: Groups = Field({}, description="split to number of clips that are repeated")
    together: Groups = Field({}, description="split to number of bodies under two gestures each")
    bodies: list[str] = Field([], description="kinds that gestures are laid over, such as walk")
    gestures: list[str] = Field(
        [], description="kinds whose arms are laid over those, such as wave-right-hand"
    )
    even: Groups = Field(
        {},
        description="split to number of groups whose motions are equally long: an event once, twice, three times; and as "
        "many of two events in both orders and each alone. A reward of them counts events, not frames",
    )
    subjects: list[str] = Field(
        [],
        description="who captions of composed clips are told of where they say no more than that someone is a person; "
        "none: as told",
    )
    cut: list[str] = Field([], description="kinds (column content) that stay what they are when cut short")
    held_out: float = Field(
        0.15, ge=0, lt=1, description="share of the pairs of kinds that are composed in the test split alone"
    )
    longest: int = Field(100, ge=24, description="frames of a clip in a pair; of a repeated one two thirds")
    blend: int = Field(8, ge=0, description="frames in which one clip passes into the next")


if TYPE_CHECKING:
    ArrayFile = str
else:
    ArrayFile = Literal[(*array_words(), "official")]


class ConvertPreset(ReadingPreset):
    """Everything `motionrft convert` decides."""

    command: ClassVar[str] = "convert"

    to: str | None = Field(
        None,
        description=f"{', '.join(target_words())}; motionrft (checkpoints); official (generator folders)",
        json_schema_extra=suggests(*target_words(), "motionrft", "official"),
    )
    fps: float | None = Field(
        None,
        ge=1,
        le=1000,
        description="frame rate of the results; representations have 20 (hymotion 30), BVH and pictures keep theirs",
    )
    out_unit: Literal["cm", "m"] = Field("cm", description="unit of BVH files that are written")
    rest: Literal["standing", "origin", "pelvis", "t-pose"] = Field(
        "standing",
        description="rest pose of BVH files that are written: standing on the floor below a root joint; the pelvis at "
        "the origin; the pelvis at its height (three.js reads the path too high); origin with a T-pose as first frame",
    )
    positions: bool = Field(
        False,
        description="BVH: position channels for joints whose bones stretch, which not every program reads; else bones "
        "are held constant, and what that costs is said",
    )
    format: ArrayFile = Field(
        "npy",
        description="file format of arrays; official: a generator folder into its project's own checkpoint",
    )
    mirror: bool = Field(False, description="mirror left and right; with --dataset, add the mirrored clips")
    jobs: int = Field(1, ge=1, le=256, description="processes")
    family: str | None = Field(
        None,
        description="family of a checkpoint, where its keys do not tell",
        json_schema_extra=suggests(*GENERATORS.names()),
    )
    statistics: str | None = Field(
        None, description="folder of a checkpoint's Mean.npy and Std.npy, where they do not lie beside it"
    )
    critic_window: int | None = Field(
        None,
        ge=1,
        description="reward checkpoint: frames its preference critic attends to, shorter motions padded; published "
        "critics were trained with 196; null: each motion's own length",
    )
    rank: int | None = Field(
        None, ge=1, description="reward checkpoint: rank of its adapters, where several lie beside it"
    )
    captions: str | None = Field(None, description='data set: JSON lines {"clip_id": ..., "captions": [...]}')
    splits: str | None = Field(
        None, description="data set: CSV with clip_id and a column of train, val, test"
    )
    split_column: str = Field("split", description="data set: the column of --splits to use")
    hold_out: str | None = Field(
        None,
        description="data set: KEY=VALUE of index.csv, or caption=WORD; lists to train without that class, to tune and "
        "to test on it",
    )
    min_frames: int = Field(16, ge=1, description="data set: shortest clip kept, frames of features")
    layout: Literal["folders", "shards"] = Field(
        "folders",
        description="data set: HumanML3D's folders, one file a clip and representation; or shards of 256 MB, for many "
        "clips and for disks that many small files are slow on",
    )
    licence: str = Field("", description="data set: licence to note in dataset.json")
    compose: ComposePart | None = Field(None, description="data set: composed clips to add; null: none")
