"""What belongs to the encoder of an autoencoder, and what to its decoder."""

import pytest
import torch

from motionrft.generators.autoencoder import Autoencoder
from motionrft.generators.convolutional import ConvolutionalAutoencoder
from motionrft.generators.mld_vae import MldVae

SMALL = {
    "convolutional": ConvolutionalAutoencoder(width=4, hidden=8),
    "one latent": MldVae(hidden=16, layers=3, heads=2, feedforward=16, positions=40),
    "several": MldVae(hidden=16, tokens=3, width=4, layers=3, heads=2, feedforward=16, positions=40),
}


def _learning(vae: Autoencoder) -> set[str]:
    """Parts of which the last backward reached something."""
    return {name.partition(".")[0] for name, p in vae.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("vae", SMALL.values(), ids=list(SMALL))
def test_the_parts_that_encode_are_those_and_no_others(vae: Autoencoder) -> None:
    motion, lengths = torch.randn(2, 16, 263), torch.tensor([16, 9])
    torch.cat(vae.encode(motion, lengths)).square().sum().backward()
    encoding = _learning(vae)
    assert encoding <= set(vae.ENCODES)
    vae.zero_grad()
    latent = vae.encode(motion, lengths)[0].detach()
    vae.decode(latent, lengths, 16).square().sum().backward()
    assert not _learning(vae) & set(vae.ENCODES)
    assert encoding | _learning(vae) == {name.partition(".")[0] for name, _ in vae.named_parameters()}
