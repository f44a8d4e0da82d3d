"""Motion files: recognising, checking, reading and writing them."""
