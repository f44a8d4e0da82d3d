"""Text-to-motion generators, one file a family, behind one interface."""
