"""Several prompts as one motion: pieces meet without a jump, and what cannot be chained is said."""

import pytest
import torch

from motionrft.errors import UserError
from motionrft.generators.kimodo import Kimodo
from motionrft.generators.kimodo_chain import SHARED, chained
from motionrft.generators.sampling import sample
from motionrft.representations.kimodo.features import KimodoFeatures
from tests.generators.families import encoder_for, tiny

TEXTS, FRAMES = ["a person walks", "a person waves"], [24, 20]


@pytest.fixture
def generator() -> Kimodo:
    made = tiny("kimodo")
    assert isinstance(made, Kimodo)
    made.use_text_encoder(encoder_for("kimodo"))
    return made


def chain(generator: Kimodo, texts=TEXTS, frames=FRAMES, seeds=(1, 2)):
    return chained(generator, texts, frames, seeds, generator.sampling(steps=3))


def test_a_chain_is_as_long_as_its_pieces_and_begins_as_the_first(generator: Kimodo) -> None:
    found = chain(generator)
    assert found.motion.shape == (1, 44, 66) and found.lengths.tolist() == [44]
    condition = generator.encode_text(TEXTS[:1])
    first = sample(generator, condition, torch.tensor([24]), [1], generator.sampling(steps=3)).motion
    kept = 24 - SHARED
    torch.testing.assert_close(found.motion[0, :kept], first[0, :kept], rtol=0, atol=1e-4)
    alone = chain(generator, TEXTS[:1], FRAMES[:1], (1,))
    torch.testing.assert_close(alone.motion, first, rtol=0, atol=1e-4)


def test_the_next_piece_is_told_where_the_one_before_ends(generator: Kimodo, monkeypatch) -> None:
    told = []
    draw = generator.drawn_state

    def watched(prompts, lengths, *others):
        told.append((generator.told(prompts, lengths).constraints, lengths.tolist()))
        return draw(prompts, lengths, *others)

    monkeypatch.setattr(generator, "drawn_state", watched)
    generator.ask(heading=1.0)
    chain(generator)
    (first, _), (second, lengths) = told
    assert first.mask is None and float(first.heading) == 1 and lengths == [20 + SHARED]
    assert second.mask[0, :SHARED].any(1).all() and not second.mask[0, SHARED:].any()
    asked = KimodoFeatures(generator.statistics.denormalise(second.observed))
    torch.testing.assert_close(asked.smooth_root[0, 0, [0, 2]], torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(second.heading, asked.heading_angle[:, 0], rtol=0, atol=1e-4)


def test_pieces_fade_into_each_other(generator: Kimodo) -> None:
    found = chain(generator)
    assert found.whole is not None
    features = KimodoFeatures(found.whole[0][0])
    steps = features.smooth_root.diff(dim=0).norm(dim=-1)
    inside = steps[: 24 - SHARED - 1].max() + steps[25:].max()
    assert float(steps[24 - SHARED - 1 : 25].max()) < 3 * float(inside)


def test_what_cannot_be_chained_is_said(generator: Kimodo) -> None:
    with pytest.raises(UserError, match="at most 295"):
        chain(generator, frames=[24, 300])
    generator.ask([])
    with pytest.raises(UserError, match="leave --constraints out"):
        chain(generator)
    mdm = tiny("mdm")
    with pytest.raises(UserError, match="family mdm makes no motion of several prompts"):
        mdm.draw_chain(TEXTS, FRAMES, [1, 2], mdm.sampling())
