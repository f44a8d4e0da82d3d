"""What stands in for a text encoder in a dry run has its shapes."""

import pytest
import torch

from motionrft.text.stand_in import StandInText
from tests.text.test_cache import CountingEncoder


@pytest.mark.parametrize(("fixed", "pooled"), [(None, 1), (77, 5), (None, None)])
def test_features_are_shaped_as_the_encoders(fixed, pooled):
    encoder = CountingEncoder()
    encoder.fixed_tokens, encoder.pooled_width = fixed, pooled
    features = StandInText(encoder).encode(["walk", "run very fast and far"])
    assert features.tokens.shape[-1] == 2 and features.mask.sum(1).tolist() == ([77, 77] if fixed else [3, 8])
    assert (None if features.pooled is None else features.pooled.shape[1]) == pooled
    again = StandInText(encoder).encode(["run very fast and far"])
    assert torch.equal(again.tokens[0], features.tokens[1])
    assert encoder.asked == []
