"""Frozen text encoders behind one interface, with an embedding cache."""

from typing import TYPE_CHECKING

from motionrft.lazy import lazy_names

if TYPE_CHECKING:
    from motionrft.text.base import TextEncoder, TextFeatures, stack
    from motionrft.text.loading import load_text_encoder

__all__ = ["TextEncoder", "TextFeatures", "load_text_encoder", "stack"]

_HOMES = {
    "TextEncoder": "motionrft.text.base",
    "TextFeatures": "motionrft.text.base",
    "load_text_encoder": "motionrft.text.loading",
    "stack": "motionrft.text.base",
}
__getattr__ = lazy_names(__name__, _HOMES)
