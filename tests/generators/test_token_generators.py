"""What every token generator must do, from one list: lengths, batches, masks, probabilities, files."""

from pathlib import Path

import pytest
import torch

from motionrft.errors import UserError
from motionrft.generators import TokenGenerator, read_generator, save_generator
from motionrft.generators.motion_tokens import MotionTokens
from motionrft.generators.sampling import sample, sample_batches
from motionrft.generators.text_to_motion import Asked, Sampled, asked_of
from motionrft.generators.token_generator import Guided, Writer
from motionrft.generators.token_sampling import allowed_logits
from tests.generators.families import tiny
from tests.generators.token_families import TINY_TOKENS, tiny_tokens, with_words

TEXTS = ["a person walks", "someone waves the left hand and then sits down", "run"]
LENGTHS = torch.tensor([24, 38, 17])


@pytest.fixture(params=TINY_TOKENS)
def generator(request: pytest.FixtureRequest) -> TokenGenerator:
    return tiny_tokens(request.param)


def draw(generator: TokenGenerator, items: list[int], **chosen: object) -> Sampled:
    prompts = generator.encode_text([TEXTS[i] for i in items])
    sampling = generator.sampling(**chosen)  # type: ignore[arg-type]
    with torch.no_grad():
        return generator.draw(prompts, LENGTHS[items], [10 + i for i in items], sampling)


def test_motions_have_exactly_the_frames_asked_for(generator: TokenGenerator) -> None:
    made = draw(generator, [0, 1, 2])
    assert made.lengths.tolist() == LENGTHS.tolist() and made.usable.all()
    assert made.tokens is not None and made.tokens.counts.tolist() == [6, 10, 5]
    assert torch.isfinite(made.motion).all() and (made.motion[2, 17:] == 0).all()


@pytest.mark.parametrize("ending", ["asked", "own"])
def test_a_motion_depends_on_its_own_prompt_and_seed_alone(generator: TokenGenerator, ending: str) -> None:
    together = draw(generator, [0, 1, 2], ending=ending)
    for item in (2, 0):
        alone = draw(generator, [item], ending=ending)
        assert alone.tokens is not None and together.tokens is not None
        assert torch.equal(alone.tokens.rows()[0], together.tokens.rows()[item])
        torch.testing.assert_close(alone.clips()[0], together.clips()[item], rtol=0, atol=1e-5)


def test_batches_of_any_size_give_the_same_motions(generator: TokenGenerator) -> None:
    prompts, seeds = generator.encode_text(TEXTS), [10, 11, 12]
    one, many = (sample(generator, prompts, LENGTHS, seeds, None, size) for size in (1, 3))
    torch.testing.assert_close(one.motion, many.motion, rtol=0, atol=1e-5)
    parts = list(sample_batches(generator, prompts, LENGTHS, seeds, None, 2))
    assert [len(items) for items, _ in parts] == [2, 1]


def test_an_own_ending_lies_between_the_shortest_and_the_longest_motion(generator: TokenGenerator) -> None:
    made = draw(generator, [0, 1, 2], ending="own", temperature=3.0)
    assert (made.lengths >= generator.min_frames).all() and (made.lengths <= generator.max_frames).all()
    cut = draw(generator, [0, 1, 2], ending="cut", temperature=3.0)
    assert torch.equal(cut.lengths, torch.minimum(made.lengths, LENGTHS))


def test_zero_temperature_takes_the_likeliest(generator: TokenGenerator) -> None:
    prompts, sampling = generator.encode_text(TEXTS), generator.sampling(temperature=0.0)
    one, other = (generator.draw(prompts, LENGTHS, seeds, sampling) for seeds in ([1, 2, 3], [4, 5, 6]))
    assert torch.equal(one.motion, other.motion)


def test_log_prob_is_what_the_writer_says_step_by_step(generator: TokenGenerator) -> None:
    prompts, tokens = generator.encode_text(TEXTS[:2]), MotionTokens.of([[3, 1, 4], [1, 5, 9, 2, 6]])
    with torch.no_grad():
        scores = generator.log_prob(prompts, tokens)
        alone = generator.log_prob(generator.encode_text(TEXTS[:1]), tokens.index(torch.tensor([0])))
    torch.testing.assert_close(scores.sums[:1], alone.sums, rtol=0, atol=2e-5)
    assert (scores.counts - torch.tensor([3, 5])).unique().numel() == 1, "what ends a motion counts"
    writer, v = generator.writer(generator.encode_text(TEXTS[:1]), LENGTHS[:1]), generator.vocabulary
    written = [] if v.start is None else [v.start]
    written += [v.first + code for code in (3, 1, 4)] + [v.end] + ([v.stop] if v.stop != v.end else [])
    total, last = torch.zeros(1), None
    with torch.no_grad():
        for place in written:
            total = total + writer.logits(last).log_softmax(-1)[:, place]
            last = torch.tensor([place])
    torch.testing.assert_close(total, scores.sums[:1], rtol=0, atol=5e-5)


def test_the_gradient_reaches_the_language_model_alone(generator: TokenGenerator) -> None:
    generator.log_prob(generator.encode_text(TEXTS[:1]), MotionTokens.of([[3, 1]])).sums.sum().backward()
    assert any(p.grad is not None for p in generator.language_model.parameters())
    assert all(p.grad is None for p in generator.vq.parameters())


def test_tokens_of_a_clip_do_not_depend_on_its_padding(generator: TokenGenerator) -> None:
    motion = torch.randn(2, 40, 263, generator=torch.Generator().manual_seed(0))
    tokens = generator.encode(motion, torch.tensor([23, 40]))
    assert tokens.counts.tolist() == [5, 10]
    assert torch.equal(tokens.rows()[0], generator.encode(motion[:1, :20], torch.tensor([20])).rows()[0])
    with pytest.raises(UserError, match="3 frames"):
        generator.encode(motion, torch.tensor([3, 40]))


def test_what_is_no_motion_is_counted_and_is_a_mean_pose(generator: TokenGenerator) -> None:
    generator.mean.fill_(0.25)
    lost = None
    for seed in range(40):
        prompts = generator.encode_text(TEXTS[:1])
        sampling = generator.sampling(masked=False, temperature=5.0)
        made = generator.draw(prompts, LENGTHS[:1], [seed], sampling)
        lost = made if not made.usable.all() else lost
    assert lost is not None, "hot sampling without a mask fails now and then"
    assert lost.lengths.tolist() == [24] and torch.equal(lost.motion, torch.full((1, 24, 263), 0.25))


def test_a_folder_gives_the_same_generator_and_its_sampling(
    generator: TokenGenerator, tmp_path: Path
) -> None:
    tuned = generator.sampling(temperature=0.7, top_k=5)
    save_generator(generator, tmp_path / "g", sampling=tuned)
    again = read_generator(tmp_path / "g")
    assert isinstance(again, TokenGenerator) and again.sampling() == tuned
    with_words(again)
    assert torch.equal(draw(again, [0]).motion, draw(generator, [0], temperature=0.7, top_k=5).motion)


def test_settings_of_the_other_kind_are_refused(generator: TokenGenerator) -> None:
    with pytest.raises(UserError, match=r"steps is not for .*motion tokens.*temperature"):
        asked_of(generator, Asked(steps=5))
    with pytest.raises(UserError, match=r"temperature is not for mdm.*sampler"):
        asked_of(tiny("mdm"), Asked(temperature=1.0))
    assert asked_of(generator, Asked(steps=5, temperature=0.5), [tiny("mdm")]).temperature == 0.5
    with pytest.raises(UserError, match="unmasked"):
        generator.sampling(masked=False, ending="asked")


def test_guidance_moves_the_logits_away_from_the_null_prompt() -> None:
    generator = tiny_tokens("token-decoder")
    prompts = generator.encode_text(TEXTS[:2])

    def begin() -> tuple[Writer, Writer]:
        return generator.writer(prompts, LENGTHS), generator.writer(generator.null_prompts(2), LENGTHS)

    (text, null), guided = begin(), Guided(*begin(), 3.0)
    for ids in (None, torch.tensor([1, 2])):
        said, unsaid = text.logits(ids), null.logits(ids)
        torch.testing.assert_close(guided.logits(ids), unsaid + 3.0 * (said - unsaid))
    same, guided_motion = (draw(generator, [0, 1], guidance=scale).motion for scale in (1.0, 8.0))
    assert torch.equal(same, draw(generator, [0, 1]).motion) and not torch.equal(same, guided_motion)


def test_a_family_without_a_null_prompt_refuses_guidance() -> None:
    generator = tiny_tokens("motiongpt")
    assert generator.sampling(guidance=1.0) == generator.sampling()
    with pytest.raises(UserError, match="knows no guidance"):
        generator.sampling(guidance=2.0)


def test_top_k_keeps_the_largest_and_renormalises() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, 0.0]])
    kept = allowed_logits(logits, 2.0, 2).softmax(-1)
    expected = torch.tensor([[0.0, 3.0, 2.0, 0.0]]).div(2).exp() * torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    torch.testing.assert_close(kept, expected / expected.sum())


def test_draws_follow_the_distribution() -> None:
    from motionrft.generators.token_sampling import TokenDraws, TokenSampling

    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(4000, -1)
    drawn = TokenDraws(range(4000), torch.device("cpu")).draw(
        logits, TokenSampling(1.0, 0, True, "own", 20.0)
    )
    shares = torch.bincount(drawn, minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), rtol=0, atol=0.03)
