"""Text-to-motion generators, one file a family, behind one interface."""

from typing import TYPE_CHECKING

from motionrft.lazy import lazy_names

if TYPE_CHECKING:
    from motionrft.generators.base import Condition, Generator
    from motionrft.generators.folder import (
        build_generator,
        family,
        read_generator,
        save_generator,
    )

__all__ = [
    "Condition",
    "Generator",
    "build_generator",
    "family",
    "read_generator",
    "save_generator",
]

_HOMES = {
    "Condition": "motionrft.generators.base",
    "Generator": "motionrft.generators.base",
    "build_generator": "motionrft.generators.folder",
    "family": "motionrft.generators.folder",
    "read_generator": "motionrft.generators.folder",
    "save_generator": "motionrft.generators.folder",
}
__getattr__ = lazy_names(__name__, _HOMES)
