"""What every family must do, from one list: shapes, lengths, guidance, gradients, batches, dtypes, files."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionrft.diffusion.plan import StepPlan
from motionrft.diffusion.rollout import Start, rollout
from motionrft.errors import UserError
from motionrft.generators import Generator, build_generator, read_generator, save_generator
from motionrft.generators.sampling import sample
from tests.generators.families import TINY, tiny

TEXTS = ["a person walks", "someone waves the left hand and then sits down"]
LENGTHS = torch.tensor([24, 40])


@pytest.fixture(params=TINY)
def generator(request: pytest.FixtureRequest) -> Generator:
    return tiny(request.param)


def scale_of(generator: Generator) -> float:
    """A guidance scale that the family can follow."""
    return 2.0 if generator.guidance != 1 else 1.0


def steps_of(generator: Generator) -> int:
    """Few steps that every sampler of the list can make."""
    return min(4, generator.process().steps)


def draw(generator: Generator, seeds: tuple[int, ...] = (1, 2), **chosen: object) -> Tensor:
    condition = generator.encode_text(TEXTS[: len(seeds)])
    sampling = generator.sampling(**({"steps": steps_of(generator)} | chosen))  # type: ignore[arg-type]
    return sample(generator, condition, LENGTHS[: len(seeds)], list(seeds), sampling).motion


def test_samples_have_the_lengths_asked_for(generator: Generator) -> None:
    motion = draw(generator, guidance=scale_of(generator))
    assert motion.shape[:2] == (2, 40) and torch.isfinite(motion).all()
    assert (motion[0, 24:] == 0).all() and (motion[0, :24] != 0).any()


def test_a_sample_does_not_depend_on_its_batch(generator: Generator) -> None:
    together = draw(generator)
    alone = draw(generator, seeds=(1,))
    torch.testing.assert_close(together[:1, :24], alone, rtol=5e-4, atol=5e-4)


def test_seeds_alone_decide(generator: Generator) -> None:
    assert torch.equal(draw(generator), draw(generator))
    assert not torch.equal(draw(generator), draw(generator, seeds=(3, 4)))


def test_text_and_guidance_matter(generator: Generator) -> None:
    condition = generator.encode_text(TEXTS)
    x = torch.randn(generator.noise_shape(LENGTHS), generator=torch.Generator().manual_seed(0))
    t = generator.process().timesteps[0]
    plain = generator.predict(x, t, condition, LENGTHS, 1.0)
    other = generator.predict(x, t, generator.encode_text(TEXTS[::-1]), LENGTHS, 1.0)
    assert not torch.allclose(plain, other)
    if generator.guidance != 1:
        assert not torch.allclose(plain, generator.predict(x, t, condition, LENGTHS, 3.0))


def test_times_may_differ_within_a_batch(generator: Generator) -> None:
    condition = generator.encode_text(TEXTS)
    x = torch.randn(generator.noise_shape(LENGTHS), generator=torch.Generator().manual_seed(0))
    times = generator.process().timesteps[[0, -1]]
    both = generator.predict(x, times, condition, LENGTHS, scale_of(generator))
    for item in range(2):
        same = generator.predict(x, times[item], condition, LENGTHS, scale_of(generator))
        torch.testing.assert_close(both[item], same[item], rtol=1e-4, atol=1e-4)


def test_gradient_reaches_the_weights_and_the_state(generator: Generator) -> None:
    condition = generator.encode_text(TEXTS)
    x = torch.randn(generator.noise_shape(LENGTHS)).requires_grad_()
    process = generator.process()
    prediction = generator.predict(x, process.timesteps[0], condition, LENGTHS, scale_of(generator))
    motion = generator.decode(process.clean(prediction, x, 0), LENGTHS)
    motion.square().mean().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and (x.grad != 0).any()
    reached = [p.grad is not None and bool((p.grad != 0).any()) for p in generator.denoiser.parameters()]
    assert sum(reached) > 0.9 * len(reached)


def test_a_judged_rollout_gives_the_weights_a_gradient(generator: Generator) -> None:
    process = generator.process(steps_of(generator))
    noise = torch.randn(generator.noise_shape(LENGTHS))
    start = Start(noise, generator.encode_text(TEXTS), LENGTHS, draw=lambda _: torch.randn_like(noise))
    plan = (StepPlan(graph=True, reward="x0", update="step", last=True),) * process.steps

    def judge(
        motion: Tensor, lengths: Tensor, reward_condition: object, level: object
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return -motion.square().mean(dim=(1, 2)), {}

    visit = next(iter(rollout(generator, process, start, plan, 1.0, judge)))
    assert visit.reward is not None
    visit.reward.sum().backward()
    assert any(p.grad is not None and (p.grad != 0).any() for p in generator.denoiser.parameters())


def test_encode_and_decode_keep_lengths_and_shapes(generator: Generator) -> None:
    motion = generator.decode(torch.randn(generator.noise_shape(LENGTHS)), LENGTHS).detach()
    state = generator.encode(motion, LENGTHS)
    assert state.shape == torch.Size(generator.noise_shape(LENGTHS))
    again = generator.decode(state, LENGTHS)
    assert again.shape == motion.shape and (again[0, 24:] == 0).all()
    assert generator.decode(state, LENGTHS, frames=50).shape[1] == 50


def test_state_mask_fits_the_state(generator: Generator) -> None:
    x = torch.randn(generator.noise_shape(LENGTHS))
    mask = generator.state_mask(x, LENGTHS)
    if mask is not None:
        assert mask.dtype == torch.bool and mask.expand_as(x).shape == x.shape
        assert not mask.expand_as(x)[0].all() and mask.expand_as(x)[1].all()


def test_double_precision_agrees(generator: Generator) -> None:
    condition = generator.encode_text(TEXTS)
    x = torch.randn(generator.noise_shape(LENGTHS), generator=torch.Generator().manual_seed(0))
    t = generator.process().timesteps[1]
    single = generator.predict(x, t, condition, LENGTHS, scale_of(generator))
    wide = type(condition)(
        condition.text.to("cpu", torch.float64), condition.null and condition.null.to("cpu", torch.float64)
    )
    double = generator.double().predict(x.double(), t, wide, LENGTHS, scale_of(generator))
    torch.testing.assert_close(single, double.float(), rtol=1e-4, atol=1e-4)


def test_save_and_load_give_the_same_generator(generator: Generator, tmp_path: Path) -> None:
    save_generator(generator, tmp_path / "model")
    again = read_generator(tmp_path / "model")
    again.use_text_encoder(generator.text_encoder)
    assert torch.equal(draw(again), draw(generator))


def test_adapters_fit_the_named_layers(generator: Generator) -> None:
    peft = pytest.importorskip("peft")
    before = draw(generator)
    config = peft.LoraConfig(r=2, target_modules=generator.lora_targets)
    generator.denoiser = peft.get_peft_model(generator.denoiser, config)
    torch.testing.assert_close(draw(generator), before)


def test_a_misspelt_family_or_setting_is_named() -> None:
    with pytest.raises(UserError, match="Did you mean mld"):
        build_generator({"family": "mlb"})
    with pytest.raises(UserError, match="guidanse"):
        build_generator(TINY["mld"] | {"guidanse": 1})


def test_the_adaptive_solver_refuses_noise() -> None:
    with pytest.raises(UserError, match="dopri5 takes no noise"):
        draw(tiny("acmdm"), sampler="dopri5", eta=0.5, steps=None)
