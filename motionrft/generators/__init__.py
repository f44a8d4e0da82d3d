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
    from motionrft.generators.text_to_motion import TextToMotion
    from motionrft.generators.token_generator import TokenGenerator

__all__ = [
    "Condition",
    "Generator",
    "TextToMotion",
    "TokenGenerator",
    "build_generator",
    "family",
    "read_generator",
    "save_generator",
]

_HOMES = {
    "Condition": "motionrft.generators.base",
    "Generator": "motionrft.generators.base",
    "TextToMotion": "motionrft.generators.text_to_motion",
    "TokenGenerator": "motionrft.generators.token_generator",
    "build_generator": "motionrft.generators.folder",
    "family": "motionrft.generators.folder",
    "read_generator": "motionrft.generators.folder",
    "save_generator": "motionrft.generators.folder",
}
__getattr__ = lazy_names(__name__, _HOMES)
