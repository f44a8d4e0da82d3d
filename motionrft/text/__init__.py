"""Frozen text encoders behind one interface, with an embedding cache."""

from motionrft.text.base import TextEncoder, TextFeatures, stack
from motionrft.text.loading import load_text_encoder

__all__ = ["TextEncoder", "TextFeatures", "load_text_encoder", "stack"]
