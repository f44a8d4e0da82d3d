"""Judges: whoever says which events a motion shows. All answer through `base.Judge`."""
