"""Text-to-motion generators, one file a family, behind one interface."""

from motionrft.generators.base import Condition, Generator
from motionrft.generators.registry import FAMILIES, build_generator, family, load_generator, save_generator

__all__ = [
    "FAMILIES",
    "Condition",
    "Generator",
    "build_generator",
    "family",
    "load_generator",
    "save_generator",
]
