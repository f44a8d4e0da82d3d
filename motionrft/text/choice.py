"""A generator's texts through something else than its encoder's own files: ready features, or a service."""

from pathlib import Path

from motionrft.errors import UserError
from motionrft.registry import TEXT_ENCODERS
from motionrft.text.base import TextEncoder
from motionrft.text.cache import CachedTextEncoder
from motionrft.text.loading import own_folder
from motionrft.text.ready import ReadyFeatures
from motionrft.text.service import ServiceText
from motionrft.training.cache_folder import cache_folder


def chosen_encoder(name: str, features: str | None = None, service: str | None = None) -> TextEncoder | None:
    """What stands in for the text encoder of that name, or None where nothing is chosen.

    Args:
        features: file of ready features.
        service: address of Kimodo's text encoder service; its answers are kept in the cache.

    Raises:
        UserError: the encoder makes more than one vector a prompt, both are chosen, or what is chosen is no good.
    """
    if features is None and service is None:
        return None
    if features is not None and service is not None:
        raise UserError(
            "text_features and text_service both say where texts come from: leave one of them out."
        )
    encoder: TextEncoder = TEXT_ENCODERS.load(name)(own_folder(name), "cpu")
    if encoder.fixed_tokens != 1 or encoder.pooled_width is not None:
        what = "text_features" if service is None else "text_service"
        raise UserError(
            f"{what}: this generator reads {name}, which is no single vector a prompt; leave {what} out."
        )
    if features is not None:
        return ReadyFeatures(Path(features), encoder)
    return CachedTextEncoder(ServiceText(str(service), encoder), cache_folder())
