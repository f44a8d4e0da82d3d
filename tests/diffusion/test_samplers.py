"""Sampling tables by closed form: a Gaussian target, whose exact score and exact end are known, for every sampler."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from motionrft.diffusion.ancestral import ancestral
from motionrft.diffusion.ddim import ddim
from motionrft.diffusion.dopri5 import integrate
from motionrft.diffusion.dpm import dpm
from motionrft.diffusion.flow import euler, flow_grid, flow_level, flow_process, heun
from motionrft.diffusion.lcm import lcm, lcm_times
from motionrft.diffusion.parametrisation import (
    Parametrisation,
    clean_coefficients,
    predicted_noise,
    training_target,
)
from motionrft.diffusion.process import Process, log_prob
from motionrft.diffusion.schedule import StraightPath, cosine, linear, scaled_linear, visited_times
from motionrft.errors import UserError

MEAN, SPREAD = 1.5, 0.3
"""The target: N(MEAN, SPREAD^2), in every dimension."""

Make = Callable[[str], Process]
DIFFUSION: dict[str, Make] = {
    "ddim": lambda kind: ddim(linear(), kind, 200, land_on_clean=True),
    "ddim eta 1": lambda kind: ddim(linear(), kind, 200, eta=1.0, land_on_clean=True),
    "ancestral": lambda kind: ancestral(linear(), kind, 200),
    "dpm ode": lambda kind: dpm(linear(), kind, 30, stochastic=False),
    "dpm ode order 1": lambda kind: dpm(linear(), kind, 200, order=1, stochastic=False),
    "dpm sde": lambda kind: dpm(linear(), kind, 100),
    "dpm ode linspace": lambda kind: dpm(linear(), kind, 100, stochastic=False, karras=False),
    "dpm sde linspace": lambda kind: dpm(linear(), kind, 200, karras=False),
}


def best_x0(x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """E[x0 | x] for the Gaussian target."""
    gain = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2)
    return MEAN + gain * (x - alpha * MEAN)


def network(kind: str, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The ideal network of that parametrisation."""
    x0 = best_x0(x, alpha, sigma)
    return training_target(kind, x0, predicted_noise(x, x0, alpha, sigma), alpha, sigma)  # type: ignore[arg-type]


def walk(process: Process, kind: str, x: Tensor, seed: int = 0) -> Tensor:
    """A trajectory with the ideal network, which reads its noise level off the table."""
    draws, memory = torch.Generator().manual_seed(seed), None
    for i in range(process.steps):
        alpha, sigma = level_of(process, kind, i)
        noise = torch.randn(x.shape, generator=draws, dtype=x.dtype)
        step = process.step(network(kind, x, alpha, sigma), x, i, noise, memory)
        x, memory = step.sample, step.memory
    return x


def level_of(process: Process, kind: str, i: int) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) at a position, from its clean coefficients: the table knows levels between training times too."""
    p, q = process.clean_x[i].double(), process.clean_prediction[i].double()  # type: ignore[attr-defined]
    if kind == "eps":
        return 1 / p, -q / p
    if kind == "v":
        return p, -q
    t = int(process.timesteps[i])
    a = linear().alpha_bar[t]
    return a.sqrt(), (1 - a).sqrt()


@pytest.mark.parametrize("name", DIFFUSION)
@pytest.mark.parametrize("kind", ["eps", "v"])
def test_samplers_reach_a_gaussian_target(name: str, kind: str) -> None:
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    end = walk(DIFFUSION[name](kind), kind, x)
    assert float(end.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(end.std()) == pytest.approx(SPREAD, rel=0.05)


@pytest.mark.parametrize("name", DIFFUSION)
def test_all_parametrisations_walk_the_same_path(name: str) -> None:
    """One guess of x0, told as noise, clean motion or velocity, makes the same step."""
    x, x0 = torch.randn(2, 5, 3, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    noise, memory = torch.randn_like(x), torch.randn_like(x)
    processes = {kind: DIFFUSION[name](kind) for kind in ("eps", "x0", "v")}
    for i in (0, 1, processes["eps"].steps - 2):
        alpha, sigma = level_of(processes["eps"], "eps", i)
        ends = [
            process.step(
                training_target(kind, x0, predicted_noise(x, x0, alpha, sigma), alpha, sigma),
                x,
                i,
                noise,
                memory,
            )
            for kind, process in processes.items()
        ]  # type: ignore[arg-type]
        for end in ends[1:]:
            assert_close(end.sample, ends[0].sample, rtol=1e-4, atol=1e-4)
            assert_close(end.x0, ends[0].x0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", get_args(Parametrisation))
def test_targets_and_clean_coefficients_are_inverse(kind: str) -> None:
    x0, noise = torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    alpha = torch.tensor(0.6, dtype=torch.float64)
    sigma = 1 - alpha if kind == "flow" else (1 - alpha**2).sqrt()
    x = alpha * x0 + sigma * noise
    p, q = clean_coefficients(kind, alpha, sigma)  # type: ignore[arg-type]
    assert_close(p * x + q * training_target(kind, x0, noise, alpha, sigma), x0)  # type: ignore[arg-type]
    assert_close(predicted_noise(x, x0, alpha, sigma), noise)


def flow_velocity(t: Tensor, x: Tensor) -> Tensor:
    """The exact velocity of the straight path to the Gaussian target."""
    x0 = best_x0(x, t, 1 - t)
    return (
        (x0 - x) / (1 - t).clamp(min=1e-6)
        if float(t) < 1
        else x0 - predicted_noise(x, x0, t, torch.tensor(1e-6))
    )


def flow_end(x: Tensor) -> Tensor:
    """The exact end: the path carries quantiles to quantiles."""
    return MEAN + SPREAD * x


def test_euler_and_heun_converge_at_their_order() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def error(process: Process) -> float:
        state, memory = x, None
        for i in range(process.steps):
            step = process.step(flow_velocity(process.timesteps[i].double(), state), state, i, None, memory)
            state, memory = step.sample, step.memory
        return float((state - flow_end(x)).abs().max())

    for make, order in ((euler, 1), (heun, 2)):
        ratio = error(make(flow_grid(40))) / error(make(flow_grid(80)))
        assert math.log2(ratio) == pytest.approx(order, abs=0.35)
    assert error(heun(flow_grid(20))) < 0.1 * error(euler(flow_grid(40)))


@pytest.mark.parametrize("eta", [0.3, 0.7, 1.0])
def test_noisy_euler_steps_keep_the_distribution_of_the_flow(eta: float) -> None:
    """Each step from the exact state distribution leads to the exact one of the next time: moments by closed form."""
    process, steps = euler(flow_grid(2000), eta), 2000
    mean, variance = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    for i in range(steps):
        t = process.timesteps[i].double()
        # The velocity is affine in x, so a Gaussian stays one.
        slope = flow_velocity(t, torch.ones_like(mean)) - flow_velocity(t, torch.zeros_like(mean))
        gain = process.mean_x[i].double() + process.mean_prediction[i].double() * slope
        mean = gain * mean + process.mean_prediction[i].double() * flow_velocity(t, torch.zeros_like(mean))
        variance = gain**2 * variance + process.std[i].double() ** 2
    assert float(mean) == pytest.approx(MEAN, abs=0.01)
    assert float(variance.sqrt()) == pytest.approx(SPREAD, rel=0.02)


@pytest.mark.parametrize("first", [1.0, 0.96])
def test_noisy_euler_steps_are_those_of_flow_grpo(first: float) -> None:
    """Its own statement: time sigma runs to 0, velocity is noise minus data (Liu et al. 2025); pure noise alone, which
    a partly denoised start is not, takes the next sigma where it would divide by 0.
    """
    sigmas = torch.linspace(first, 0, 11, dtype=torch.float64)
    a, process = 0.7, euler(1 - sigmas, 0.7)
    x, v = torch.randn(2, 5, dtype=torch.float64)
    for i, (sigma, after) in enumerate(pairwise(sigmas)):
        d, kept = after - sigma, 1 - (after if sigma == 1 else sigma)
        g = a * (sigma / kept).sqrt()
        mean = x * (1 + g**2 * d / (2 * sigma)) + v * (1 + g**2 * (1 - sigma) / (2 * sigma)) * d
        step = process.step(-v, x, i, torch.zeros_like(x))
        assert_close(step.mean, mean, rtol=1e-6, atol=1e-6)
        assert_close(step.std.double(), g * (-d).sqrt(), rtol=1e-6, atol=1e-6)


def test_euler_without_noise_is_deterministic_and_heun_refuses_noise() -> None:
    assert euler(flow_grid(4)).stochastic == flow_process(4, "euler", "toy", 0.0).stochastic == (False,) * 4
    assert flow_process(4, "euler", "toy", 0.5).stochastic == (True,) * 4
    with pytest.raises(UserError, match="heun takes no noise"):
        flow_process(4, "heun", "toy", 0.5)


def test_dopri5_lands_within_its_tolerance() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    assert_close(integrate(flow_velocity, x, rtol=1e-6, atol=1e-8), flow_end(x), rtol=0, atol=1e-4)


def test_flow_processes_are_named_and_levels_run_from_noise_to_clean() -> None:
    assert flow_process(4, "euler", "toy").timesteps.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert flow_process(2, "heun", "toy").timesteps.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert flow_level(torch.tensor([0.0, 0.5, 1.0])).tolist() == [999, 500, 0]
    assert flow_process(4, "euler", "toy").levels.tolist() == [999, 750, 500, 250, 0]
    with pytest.raises(UserError, match="nothing can be tuned through it"):
        flow_process(4, "dopri5", "toy")


def test_published_times() -> None:
    assert visited_times(1000, 5, "leading", 1).tolist() == [801, 601, 401, 201, 1]
    assert dpm(linear(), "x0", 10).timesteps.tolist() == [999, 937, 864, 775, 663, 511, 301, 102, 18, 0]
    assert dpm(linear(), "x0", 4, karras=False).timesteps.tolist() == [999, 749, 500, 250]
    assert lcm_times(1000, 4, "fixed").tolist() == [699, 399, 299, 299]
    assert lcm_times(1000, 4, "spread").tolist() == [999, 759, 499, 259]
    assert lcm_times(1000, 4, "skipped").tolist() == [999, 759, 519, 279]
    with pytest.raises(UserError, match="1, 2, 4"):
        lcm_times(1000, 3, "fixed")
    with pytest.raises(UserError, match="between 1 and 50"):
        ancestral(cosine(50), "x0", 51)


def test_mld_ddim_does_not_land_on_the_clean_latent() -> None:
    process = ddim(scaled_linear(), "eps", 50)
    x, eps = torch.randn(3), torch.randn(3)
    step = process.step(eps, x, 49)
    assert not torch.allclose(step.sample, step.x0)
    a = scaled_linear().alpha_bar[0].float()
    assert_close(step.sample, a.sqrt() * step.x0 + (1 - a).sqrt() * eps)


def test_the_last_lcm_jump_is_clean_and_the_others_are_not() -> None:
    process = lcm(scaled_linear(), "eps", 4, "fixed")
    assert process.stochastic == (True, True, True, False)
    with pytest.raises(ValueError, match="needs noise"):
        process.step(torch.zeros(3), torch.zeros(3), 0)


def test_log_prob_is_the_mean_gaussian_log_density_of_valid_numbers() -> None:
    process = ddim(linear(), "eps", 10, eta=1.0)
    x = torch.randn(2, 6, 3)
    step = process.step(torch.randn_like(x), x, 3, torch.randn_like(x))
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])[..., None]
    density = torch.distributions.Normal(step.mean, step.std).log_prob(step.sample)
    assert_close(log_prob(step, step.sample), density.flatten(1).mean(1))
    expected = torch.stack([density[0].mean(), density[1, :4].mean()])
    assert_close(log_prob(step, step.sample, mask), expected)


def test_a_recomputed_step_has_the_same_log_prob() -> None:
    process = dpm(linear(), "x0", 10)
    x, x0, memory, noise = (torch.randn(2, 5) for _ in range(4))
    taken = process.step(x0, x, 4, noise, memory)
    again = process.step(x0, x, 4, torch.zeros_like(x), memory)
    assert torch.equal(log_prob(again, taken.sample), log_prob(taken, taken.sample))


@pytest.mark.parametrize("path", [linear(), scaled_linear(), cosine(50), StraightPath()])
def test_noising_has_the_levels_it_says(path: StraightPath) -> None:
    t = path.draw_times(64, torch.Generator().manual_seed(0))
    alpha, sigma = path.levels(t)
    x0, noise = torch.ones(64, 4, 2), torch.full((64, 4, 2), 2.0)
    assert_close(path.add_noise(x0, noise, t), (alpha + 2 * sigma)[:, None, None].expand(64, 4, 2))
    if not isinstance(path, StraightPath):
        assert_close(alpha**2 + sigma**2, torch.ones(64))
