"""The U-Net's frames: padded as published, whatever the number of levels."""

import pytest
import torch

from motionrft.generators.stablemofusion_unet import StableMoFusionUnet


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("frames, padded", [(20, 32), (16, 16), (40, 48)])
def test_frames_are_padded_with_zeros_to_a_multiple_of_16(levels: int, frames: int, padded: int) -> None:
    torch.manual_seed(0)
    network = StableMoFusionUnet(12, [16] * levels, time_width=8, text_width=8).eval()
    x, text, t = torch.randn(2, frames, 12), torch.randn(2, 3, 8), torch.tensor(7)
    longer = torch.nn.functional.pad(x, (0, 0, 0, padded - frames))  # (B, padded, F)
    torch.testing.assert_close(network(x, t, text), network(longer, t, text)[:, :frames])
