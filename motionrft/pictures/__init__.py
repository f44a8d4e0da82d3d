"""Pictures of motion: figures, strips, video, the 3D page.

    write_picture("walk.gif", [joints], ["a person walks"], fps=20)   # gif, mp4, png, html by the name's ending

Joints are numpy (T, 22, 3) or (T, 21, 3) everywhere, metres, Y up. Nothing here imports torch.
"""

from typing import TYPE_CHECKING

from motionrft.lazy import lazy_names

if TYPE_CHECKING:
    from motionrft.pictures.write import write_picture, write_strip

__all__ = ["write_picture", "write_strip"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "motionrft.pictures.write"))
