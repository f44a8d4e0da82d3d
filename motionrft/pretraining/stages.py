"""Which families have a first stage, and the states that the second stage of any family reads."""

from collections.abc import Callable
from typing import Any

from motionrft.data.motions import Motions
from motionrft.generators.acmdm import Acmdm
from motionrft.generators.base import Generator
from motionrft.generators.mld import Mld
from motionrft.generators.text_to_motion import TextToMotion
from motionrft.generators.token_generator import TokenGenerator
from motionrft.pretraining.first_stage import FirstStage, LatentStage
from motionrft.pretraining.joint_stage import JointStage
from motionrft.pretraining.posterior_stage import PosteriorStage
from motionrft.pretraining.row_store import RowStore
from motionrft.pretraining.states import Frames, Splits, States
from motionrft.pretraining.token_stage import TokenStage

LATENT_STAGES: dict[type[TextToMotion], Callable[[Any], LatentStage]] = {
    Mld: PosteriorStage,
    Acmdm: JointStage,
}
"""Latent families. Every other diffusion denoises frames and is trained in one stage."""


def first_stage(generator: TextToMotion) -> FirstStage | None:
    """The generator's first stage, or None for a family without an autoencoder."""
    if isinstance(generator, TokenGenerator):
        return TokenStage(generator)
    return _latent_stage(generator)


def _latent_stage(generator: TextToMotion) -> LatentStage | None:
    make = LATENT_STAGES.get(type(generator))
    return None if make is None else make(generator)


def states_of(
    generator: Generator,
    train: Motions,
    validation: Motions,
    mirror: bool,
    store: RowStore,
    whiten: bool = True,
) -> Splits:
    """The clean states of both splits, by the trained autoencoder where there is one.

    Args:
        store: where latents are kept.
        whiten: set the generator's latent statistics from the training clips; False keeps those it has.
    """
    stage = _latent_stage(generator)
    if stage is None:
        sides: tuple[States, ...] = (Frames(generator, train),)
        if mirror:
            sides += (Frames(generator, train, mirrored=True),)
        return Splits(sides, Frames(generator, validation))
    sides = (stage.latents(train, store),)
    if mirror:
        sides += (stage.latents(train, store, mirrored=True),)
    if whiten:
        stage.whiten(sides[0])
    return Splits(sides, stage.latents(validation, store))
