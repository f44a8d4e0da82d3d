"""Motion file formats, one file each; `motionrft.registry.FORMATS` is the table of them."""
