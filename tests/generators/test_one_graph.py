"""`compile` asks for whole graphs: every family's predict and decode are traced without a break, and give the same."""

import pytest
import torch
from torch.testing import assert_close

from tests.generators.families import TINY, tiny

WORDS = ["walks", "waves twice"]


@pytest.fixture(autouse=True)
def forget_graphs():
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("name", TINY)
def test_predict_and_decode_are_one_graph_each(name: str) -> None:
    generator = tiny(name)
    lengths = torch.tensor([40, 32])
    condition = generator.encode_text(WORDS)
    x = torch.randn(generator.noise_shape(lengths), generator=torch.Generator().manual_seed(3))
    t = generator.process().timesteps[1]
    predict = torch.compile(generator.predict, fullgraph=True, backend="eager")
    decode = torch.compile(generator.decode, fullgraph=True, backend="eager")
    with torch.no_grad():
        assert_close(
            predict(x, t, condition, lengths, generator.guidance),
            generator.predict(x, t, condition, lengths, generator.guidance),
        )
        assert_close(decode(x, lengths, 40), generator.decode(x, lengths, 40))
