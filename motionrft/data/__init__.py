"""Data sets on disk and their batches."""

from motionrft.data.batches import (
    BalancedBatches,
    Batch,
    DistinctBatches,
    GroupedBatches,
    collate,
    drawn_captions,
    pad,
)
from motionrft.data.captions import Caption, read_captions
from motionrft.data.folder import MotionDataset
from motionrft.data.items import Item
from motionrft.data.prompts import read_prompts
from motionrft.files.dataset_layout import FOLDERS

__all__ = [
    "FOLDERS",
    "BalancedBatches",
    "Batch",
    "Caption",
    "DistinctBatches",
    "GroupedBatches",
    "Item",
    "MotionDataset",
    "collate",
    "drawn_captions",
    "pad",
    "read_captions",
    "read_prompts",
]
