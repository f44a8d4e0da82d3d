"""A generator, a process and a reward small enough to write their gradients out by hand; all float64."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motionrft.diffusion.process import Process, Step
from motionrft.diffusion.rollout import Start

STEPS, BATCH, WIDTH, FRAMES = 6, 3, 5, 4
GUIDANCE = 2.0
ALPHA_BAR = torch.tensor([0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.999], dtype=torch.float64)  # of the states 0..S


@dataclass(frozen=True)
class ToyCondition:
    vectors: Tensor  # (B, WIDTH)

    def index(self, items: Tensor) -> "ToyCondition":
        return ToyCondition(self.vectors[items])


class ToySchedule:
    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        a = ALPHA_BAR[STEPS - 1 - t]
        return a.sqrt() * x0 + (1 - a).sqrt() * noise


class ToyProcess(Process):
    """DDIM written with square roots, as in the paper; training times 5..0, levels 6..0."""

    def __init__(self, eta: float = 0.0):
        self.timesteps = torch.arange(STEPS).flip(0)
        self.stochastic = (eta > 0,) * STEPS
        self.eta = eta

    @property
    def levels(self) -> Tensor:
        return torch.arange(STEPS + 1).flip(0)

    @property
    def gains(self) -> Tensor:
        raise NotImplementedError  # no policy gradient is taken on toys

    def to(self, device):
        return self

    def clean(self, prediction, x, i):
        return (x - (1 - ALPHA_BAR[i]).sqrt() * prediction) / ALPHA_BAR[i].sqrt()

    def step(self, prediction, x, i, noise=None, memory=None) -> Step:
        a, b = ALPHA_BAR[i], ALPHA_BAR[i + 1]
        x0, std = self.clean(prediction, x, i), self.eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        mean = b.sqrt() * x0 + (1 - b - std**2).sqrt() * prediction
        return Step(x0, mean, std, mean if noise is None else mean + std * noise)


class ToyGenerator(nn.Module):
    """eps-prediction by a small network; the decoder is frozen and nonlinear."""

    schedule = ToySchedule()

    def __init__(self, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.denoiser = nn.Sequential(nn.Linear(2 * WIDTH + 1, 8), nn.Tanh(), nn.Linear(8, WIDTH))
            self.denoiser.double()
            self.register_buffer("expand", torch.randn(WIDTH, FRAMES * 2, dtype=torch.float64))

    def predict(self, x, t, condition, lengths, guidance):
        time = (t.double() / STEPS).expand(x.shape[0], 1)
        halves = [condition.vectors, torch.zeros_like(condition.vectors)]
        text, null = self.denoiser(torch.cat([torch.cat([x, c, time], 1) for c in halves])).chunk(2)
        return null + guidance * (text - null)

    def decode(self, x, lengths, frames=None):
        motion = torch.tanh(x @ self.expand).reshape(-1, FRAMES, 2)
        return motion * (torch.arange(FRAMES)[None, :] < lengths[:, None])[..., None]


class ToyReward(nn.Module):
    """Pays for the distance of the motion's mean to a direction; louder on noisier levels."""

    def forward(self, motion, lengths, condition, t=0):
        near = -(motion.mean(1) - condition.vectors[:, :2]).square().sum(1)
        still = -motion.square().mean((1, 2))
        return near * (1 + 0.1 * t) + 0.5 * still, {"near": near, "still": still}


def toy_start(batch: int = BATCH) -> Start:
    g = torch.Generator().manual_seed(7)

    def draw(n: int) -> Tensor:
        noise = torch.Generator().manual_seed(100 + n)
        return torch.randn(batch, WIDTH, generator=noise, dtype=torch.float64)

    vectors = ToyCondition(torch.randn(batch, WIDTH, generator=g, dtype=torch.float64))
    noise = torch.randn(batch, WIDTH, generator=g, dtype=torch.float64)
    return Start(noise, vectors, torch.tensor([4, 3, 2] * batch)[:batch], vectors, draw=draw)


def gradient(generator: ToyGenerator) -> Tensor:
    return torch.cat([p.grad.flatten() for p in generator.denoiser.parameters()])


def weights(generator: ToyGenerator) -> Tensor:
    return torch.cat([p.detach().flatten() for p in generator.denoiser.parameters()])
