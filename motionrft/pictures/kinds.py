"""The kinds of pictures, by the ending of their file. Free of everything: presets ask it."""

PICTURES = ("png", "gif", "mp4", "html")
