"""On a real GPU (`pytest -m gpu`, part of `make gpu`): no step waits, graphs and compiled calls agree with plain ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from random import Random

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from motionrft.diffusion.plan import sampling_plan
from motionrft.diffusion.rollout import Start, rollout
from motionrft.errors import RunError
from motionrft.finetuning.captured import captured
from motionrft.finetuning.cuda_graphs import CudaGraphs
from motionrft.finetuning.methods.base import plan_of
from motionrft.registry import METHODS
from motionrft.representations.convert import convert
from motionrft.training.numbers import read
from motionrft.training.optimiser import AdamWSettings, Optimiser
from motionrft.training.precision import autocast
from tests.generators.families import TINY, tiny
from tests.gpu.placing import FRAMES, STEPS, placed, trainer_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA device; `make gpu` where there is one"
    ),
]
CUDA = torch.device("cuda", 0)
MIB = 2**20


@contextmanager
def no_waiting() -> Iterator[None]:
    """Any operation that synchronises with the device is an error."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def lines_of(trainer, *batches, updates: int = 100) -> list[dict]:
    """Metrics of the updates of one trajectory of each batch, their gradients added up."""
    plan = plan_of(trainer.preset.method, STEPS, 1.0, Random(0))
    points = trainer.objective(trainer.context, batches, plan, Random(0))
    return read([trainer._step(point) for point, _ in zip(points, range(updates), strict=False)])


@pytest.mark.parametrize("name", TINY)
def test_a_trajectory_never_waits_and_agrees_with_the_host(name: str) -> None:
    generator = tiny(name)
    lengths = torch.tensor([FRAMES, FRAMES if generator.sees_padding else 32])
    condition, process = generator.encode_text(["a person walks", "waves"]), generator.process(STEPS)
    noise = torch.randn(generator.noise_shape(lengths))
    draws = [torch.randn(noise.shape) for _ in range(STEPS)]

    def end(device: torch.device) -> torch.Tensor:
        generator.to(device)
        there = [draw.to(device) for draw in draws]
        start = Start(
            noise.to(device), condition.to(device), lengths.to(device), None, FRAMES, lambda i: there[i]
        )
        walk = process.to(device)
        # Convolutions in TF32, PyTorch's choice on a GPU, are 0.02 apart from float32 in StableMoFusion's network.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.no_grad(), exact, no_waiting() if device.type == "cuda" else torch.no_grad():
            visits = list(rollout(generator, walk, start, sampling_plan(STEPS), generator.guidance))
            return generator.decode(visits[-1].step.sample, start.lengths, FRAMES)

    assert_close(end(CUDA).cpu(), end(torch.device("cpu")), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(
    "name", sorted({*METHODS.names()} - {"ddpo", "grpo", "sopo"})
)  # they ask thrice or four times a sampled batch
def test_no_update_of_any_method_waits(name: str) -> None:
    trainer, batch = trainer_of(name)
    batch = placed(trainer, batch, CUDA)
    plan = plan_of(trainer.preset.method, STEPS, 1.0, Random(0))
    lines_of(trainer, batch)  # libraries load, memory is found
    trainer.optimiser.updates = 1  # every hundredth update is the one that copies the state to fall back on
    with no_waiting():
        points = trainer.objective(trainer.context, [batch], plan, Random(0))
        lines = [trainer._step(point) for point in points]
    assert all(line["loss"] == line["loss"] for line in read(lines))


@pytest.mark.parametrize(
    ("name", "parts"), [("easytune", 1), ("easytune", 2), ("easytune-chain", 1), ("draft", 1)]
)
def test_captured_calls_learn_what_plain_calls_do(
    name: str, parts: int, recwarn: pytest.WarningsRecorder
) -> None:
    seen = []
    for graphs in (False, True):
        trainer, batch = trainer_of(name)
        batch = placed(trainer, batch, CUDA)
        context = trainer.context
        if graphs:
            trainer.context = replace(context, compiled=captured(context.generator, context.reward))
        seen.append([line for _ in range(3) for line in lines_of(trainer, *[batch] * parts)])
    for key in ("loss", "grad_norm"):
        plain, other = ([line[key] for line in lines] for lines in seen)
        assert_close(other, plain, rtol=2e-3, atol=1e-4)
    assert not [each for each in recwarn if "AccumulateGrad" in str(each.message)]


def test_a_further_set_of_shapes_costs_its_own_tensors_alone() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 256)).to(CUDA)
    weights, graphs, held = list(network.parameters()), CudaGraphs(CUDA), []
    inputs = [torch.randn(rows, 256, device=CUDA) for rows in range(64, 7 * 64, 64)]
    calls = []
    for given in inputs:
        calls.append(graphs.with_backward(lambda x: [network(x)], [given], weights))
        torch.cuda.empty_cache()
        held.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
    # cuBLAS asks for 8 MiB a stream and thread, and on newer cards for 32; what a shape needs itself is below 2.
    assert held[-1][0] - held[0][0] < 4 * MIB * (len(inputs) - 1)
    assert held[-1][1] - held[0][1] < 32 * MIB
    for call, given in zip(calls, inputs, strict=True):
        call(given)[0].square().sum().backward()
    expected = torch.autograd.grad(sum(network(given).square().sum() for given in inputs), weights)
    for weight, gradient in zip(weights, expected, strict=True):
        assert_close(weight.grad, gradient, rtol=1e-3, atol=1e-3)


def too_large(capture: Callable[..., object], *arguments: object) -> object:
    """A capture after which a petabyte is asked for."""
    capture(*arguments)
    return torch.empty(2**50, device=CUDA)


def test_calls_go_on_uncaptured_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, batch = trainer_of("easytune")
    batch = placed(trainer, batch, CUDA)
    calls = captured(trainer.context.generator, trainer.context.reward)
    trainer.context = replace(trainer.context, compiled=calls)
    first = lines_of(trainer, batch)
    for call in (calls.predict, calls.judged):
        call.known.clear()
        monkeypatch.setattr(call, "_capture", partial(too_large, call._capture))
    second = lines_of(trainer, batch)
    assert not (calls.predict.known or calls.judged.known)
    assert len(first) == len(second) and all(line["loss"] == line["loss"] for line in second)


def test_what_is_kept_for_backward_does_not_grow_with_the_number_of_steps() -> None:
    trainer, batch = trainer_of("easytune")
    batch, peaks = placed(trainer, batch, CUDA), []
    for steps in (4, 16):
        process = trainer.context.generator.process(steps)
        context = replace(trainer.context, process=process)
        plan = plan_of(trainer.preset.method, steps, 1.0, Random(0))
        for _ in range(2):
            torch.cuda.reset_peak_memory_stats()
            for _ in trainer.objective(context, [batch], plan, Random(0)):
                trainer.optimiser.step()
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] <= 1.02 * peaks[0]


def test_bfloat16_starts_at_the_loss_of_float32() -> None:
    losses = []
    for dtype in (torch.float32, torch.bfloat16):
        trainer, batch = trainer_of("easytune")
        batch = placed(trainer, batch, CUDA)
        trainer.context = replace(trainer.context, autocast=lambda dtype=dtype: autocast(CUDA, dtype))
        losses.append(lines_of(trainer, batch, updates=1)[0]["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=0.05, abs=0.05)


def test_a_bad_gradient_is_skipped_there_and_ten_bring_back_the_last_good_state() -> None:
    network = nn.Linear(3, 1).to(CUDA)
    optimiser = Optimiser(network, AdamWSettings(lr=0.1))

    def step(factor: float) -> None:
        optimiser.backward(network(torch.ones(2, 3, device=CUDA)).sum() * factor)
        optimiser.step()

    before = network.weight.detach().clone()
    with no_waiting():
        optimiser.updates = 1
        step(float("nan"))
    assert torch.equal(before, network.weight)
    optimiser = Optimiser(network, AdamWSettings(lr=0.1))
    step(1.0)
    for _ in range(10):
        step(float("nan"))
    assert torch.equal(before, network.weight) and optimiser.lr == 0.05
    with pytest.raises(RunError, match="gradient of weight"):
        for _ in range(20):
            step(float("nan"))


def test_features_of_joints_agree_with_the_host() -> None:
    joints = torch.randn(2, 30, 22, 3).cumsum(1) * 0.01 + torch.randn(1, 1, 22, 3)
    there = convert(joints.to(CUDA), "joints", "kinematic").cpu()
    assert_close(there, convert(joints, "joints", "kinematic"), rtol=1e-2, atol=1e-2)
