"""The clips of a data set folder, in whichever layout it has them."""

from pathlib import Path

from motionrft.files.clip_store import ClipStore, LooseClips
from motionrft.files.dataset_layout import FOLDERS, SHARD_INDEX, folder_of
from motionrft.files.shards import open_shards


def open_clips(root: Path) -> ClipStore:
    """The clips of a data set folder, in shards or each in files of its own.

    Raises:
        UserError: its shards are damaged.
    """
    return open_shards(root) if (root / SHARD_INDEX).is_file() else LooseClips(root)


def holds_motions(root: Path) -> bool:
    """Whether there is any motion of a data set in a folder."""
    return (root / SHARD_INDEX).is_file() or any(folder_of(root, name).is_dir() for name in FOLDERS)
