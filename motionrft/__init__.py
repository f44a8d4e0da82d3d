"""Reward fine-tuning of text-to-motion generators. In a notebook:

    import motionrft

    before = motionrft.load_generator()                                  # built in; a folder or checkpoint will do
    run = motionrft.finetune("runs/first", preset="mini-easytune")
    motions = motionrft.sample(["a person waves the right hand"], run.generator)
    print(motionrft.score(motions)[0], motionrft.score(motionrft.sample(motions[0].text, before))[0])
    motionrft.save_motion(motionrft.convert(motions[0], "joints"), "wave.bvh")

Nothing is imported before it is used: `import motionrft` takes milliseconds and loads no torch.
"""

from typing import TYPE_CHECKING

from motionrft.lazy import lazy_names

if TYPE_CHECKING:
    from motionrft.api import convert, evaluate, finetune, load_motion, sample, save_motion, score
    from motionrft.loading import load_generator, load_reward

__version__ = "0.1.0"

__all__ = [
    "load_generator",
    "load_reward",
    "load_motion",
    "save_motion",
    "convert",
    "sample",
    "score",
    "evaluate",
    "finetune",
]

_HOMES = {
    name: "motionrft.loading" if name in ("load_generator", "load_reward") else "motionrft.api"
    for name in __all__
}
__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
