"""Frozen text encoders behind one interface, with an embedding cache."""
