"""Data sets on disk and their batches."""
