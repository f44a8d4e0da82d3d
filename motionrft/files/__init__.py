"""Motion files: recognising, reading, checking and writing them.

`read_motions` and `iterate_motions` are the way in for everyone, `write_motion` the way out.
"""
