"""Reads (and writes) other projects' checkpoints: names and shapes only."""
