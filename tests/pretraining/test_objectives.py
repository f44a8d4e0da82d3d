"""What the second stage minimises: zero for a perfect network, blind to padding, and consistent with the samplers."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from motionrft.diffusion.ddim import ddim
from motionrft.generators.mld import Mld
from motionrft.pretraining.distillation import ConsistencyDistillation, start_from_teacher
from motionrft.pretraining.objective import Regression, masked_mean
from tests.generators.families import TINY, tiny

TEXTS = ["a person walks", "someone waves the left hand"]
LENGTHS = torch.tensor([24, 40])
SETTINGS = SimpleNamespace(times=10, guidance_from=6.0, guidance_to=16.0, ema=0.95, huber=0.5)
LCM = TINY["motionlcm"]


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clean_state(name: str) -> tuple:
    generator = tiny(name)
    x0 = torch.randn(generator.noise_shape(LENGTHS), generator=draws(1))
    return generator, x0, generator.encode_text(TEXTS)


@pytest.mark.parametrize(
    "name", ["mld", "built-in", "mdm", "motiondiffuse", "stablemofusion", "acmdm", "hymotion"]
)
def test_a_perfect_network_costs_nothing_and_a_blind_one_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, x0, condition = clean_state(name)

    def knows(state: Tensor, t: Tensor, condition: object, lengths: Tensor, guidance: float) -> Tensor:
        """The answer of a network that knows the clean state, from the state's definition."""
        alpha, sigma = (level.reshape(-1, *(1,) * (x0.dim() - 1)) for level in generator.schedule.levels(t))
        noise = (state - alpha * x0) / sigma
        return {"eps": noise, "x0": x0, "flow": x0 - noise}[generator.parametrisation]

    monkeypatch.setattr(generator, "predict", knows)
    perfect = Regression(generator, cap=1.0).loss(x0, LENGTHS, condition, draws())
    assert perfect.item() < 1e-6
    monkeypatch.setattr(generator, "predict", lambda state, *rest, **named: 0 * state)
    assert Regression(generator, cap=1.0).loss(x0, LENGTHS, condition, draws()).item() > 0.3


def test_the_masked_mean_of_equal_errors_is_that_error_whatever_the_shapes() -> None:
    error = torch.full((2, 4, 5, 22), 3.0)
    mask = torch.rand(2, 1, 5, 1, generator=draws()) < 0.5
    for each in (mask, None):
        torch.testing.assert_close(masked_mean(error, each), torch.tensor(3.0))


@pytest.mark.parametrize("name", ["built-in", "mdm-masked", "acmdm", "hymotion"])
def test_padding_does_not_count(name: str) -> None:
    generator, x0, condition = clean_state(name)
    mask = generator.state_mask(x0, LENGTHS)
    assert mask is not None
    other = torch.where(mask, x0, torch.full_like(x0, 7.0))
    found = [Regression(generator, 1.0).loss(x, LENGTHS, condition, draws()) for x in (x0, other)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mld", "mdm", "mdm-decoder", "acmdm", "hymotion", "stablemofusion"])
def test_a_dropped_prompt_is_the_null_half_of_guidance(name: str) -> None:
    generator, x, _ = clean_state(name)
    t = generator.process().timesteps[0]
    condition = generator.encode_text(TEXTS)
    # null + 2 (text - null) and the text alone give the null half.
    guided, text = (generator.predict(x, t, condition, LENGTHS, scale) for scale in (2.0, 1.0))
    dropped = generator.encode_for_training(TEXTS, torch.tensor([False, True]))
    found = generator.predict(x, t, dropped, LENGTHS, 1.0)
    torch.testing.assert_close(found[0], text[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], (2 * text - guided)[1], rtol=1e-4, atol=1e-3)
    assert not torch.allclose(found[1], text[1], atol=1e-3)


@pytest.fixture
def pair() -> tuple[Mld, Mld]:
    """A teacher, and a student that starts from it."""
    student, teacher = tiny("motionlcm"), tiny("mld++", seed=1)
    assert isinstance(student, Mld) and isinstance(teacher, Mld)
    start_from_teacher(student, teacher)
    return student, teacher


def test_one_step_of_the_distilled_teacher_is_a_step_of_ddim(pair: tuple[Mld, Mld]) -> None:
    student, teacher = pair
    objective = ConsistencyDistillation(student, teacher, SETTINGS)  # type: ignore[arg-type]
    x = torch.randn(student.noise_shape(LENGTHS), generator=draws())
    condition = teacher.encode_text(TEXTS)
    process = ddim(teacher.schedule, "eps", 10, offset=99)
    assert process.timesteps.tolist() == list(range(999, 0, -100))
    for i in range(10):
        t = process.timesteps[i].expand(2)
        prediction = teacher.predict(x, t, condition, LENGTHS, 7.5)
        step = process.step(prediction, x, i).sample
        scale = torch.full((2,), 7.5)
        found = objective._teacher_step(x, t, objective._earlier(t), condition, LENGTHS, scale)
        torch.testing.assert_close(found, step, rtol=1e-4, atol=1e-4)


def test_at_the_last_time_the_target_is_the_teachers_end(pair: tuple[Mld, Mld]) -> None:
    """At time 0 the boundary condition makes a jump the state itself, whatever the target network says."""
    student, teacher = pair
    objective = ConsistencyDistillation(student, teacher, SETTINGS)  # type: ignore[arg-type]
    x, zero = torch.randn(student.noise_shape(LENGTHS), generator=draws()), torch.zeros(2, dtype=torch.int64)
    jump = objective._jump(objective.target, x, zero, teacher.encode_text(TEXTS), LENGTHS, torch.ones(2))
    torch.testing.assert_close(jump, x)


def test_the_target_follows_the_student_and_gets_no_gradient(pair: tuple[Mld, Mld]) -> None:
    student, teacher = pair
    objective = ConsistencyDistillation(student, teacher, SETTINGS)  # type: ignore[arg-type]
    x0 = torch.randn(student.noise_shape(LENGTHS), generator=draws(1))
    teacher.requires_grad_(False)
    objective.loss(x0, LENGTHS, student.encode_text(TEXTS), draws()).backward()
    assert all(parameter.grad is None for parameter in objective.target.parameters())
    assert student.denoiser.time_embedding.cond_proj.weight.grad.abs().sum() > 0
    before = objective.target.query_pos.pe.clone()
    with torch.no_grad():
        student.denoiser.query_pos.pe += 1.0
    objective.stepped()
    torch.testing.assert_close(objective.target.query_pos.pe, before + 0.05)


def test_validation_is_zero_for_a_student_that_jumps_where_the_teacher_walks(
    pair: tuple[Mld, Mld], monkeypatch: pytest.MonkeyPatch
) -> None:
    student, teacher = pair
    objective = ConsistencyDistillation(student, teacher, SETTINGS)  # type: ignore[arg-type]
    x0, condition = torch.randn(student.noise_shape(LENGTHS)), student.encode_text(TEXTS)
    assert objective.validation_loss(x0, LENGTHS, condition, draws()).item() > 0
    end = torch.zeros_like(x0)
    monkeypatch.setattr(objective, "_jump", lambda *rest: end)
    monkeypatch.setattr(objective, "_teacher_step", lambda *rest: end)
    assert objective.validation_loss(x0, LENGTHS, condition, draws()).item() == 0
