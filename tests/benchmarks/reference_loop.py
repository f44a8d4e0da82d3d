"""A plain fine-tuning loop, against which ours is timed: MLD, a four-term reward and EasyTune in textbook
modules.

Written from a description of how the published trainers work, not from their code: torch's own multi-head
    attention with its weights materialised, sequence first, dropout active in the denoiser, adapters
    unmerged, one encoder pass a term, the reference motion embedded and the prompts' token states read again
    at every judged step, and both the clean prediction and the next state decoded with graph.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

D, HEADS, FF, LATENT = 256, 4, 1024, 256


class Layer(nn.Module):
    """Post-norm encoder layer, (T, B, D); with `memory`, a decoder layer."""

    def __init__(self, width: int, heads: int, feedforward: int, cross: bool = False):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1)
        self.cross = nn.MultiheadAttention(width, heads, dropout=0.1) if cross else None
        self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if cross else 2))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, padding: Tensor | None = None, memory: Tensor | None = None) -> Tensor:
        x = self.norms[0](x + self.drop(self.attention(x, x, x, key_padding_mask=padding)[0]))
        if self.cross is not None:
            x = self.norms[1](x + self.drop(self.cross(x, memory, memory)[0]))
        return self.norms[-1](x + self.drop(self.linear2(self.drop(F.gelu(self.linear1(x))))))


class SkipStack(nn.Module):
    """Input layers, a middle one, output layers joined with the pushed outputs."""

    def __init__(self, width: int, layers: int, heads: int, feedforward: int, make: Callable[..., nn.Module]):
        super().__init__()
        k = (layers - 1) // 2
        self.down = nn.ModuleList(make(width, heads, feedforward) for _ in range(k))
        self.middle = make(width, heads, feedforward)
        self.up = nn.ModuleList(make(width, heads, feedforward) for _ in range(k))
        self.join = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(k))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, *rest: Tensor | None) -> Tensor:
        skips = []
        for layer in self.down:
            x = layer(x, *rest)
            skips.append(x)
        x = self.middle(x, *rest)
        for join, layer in zip(self.join, self.up, strict=True):
            x = layer(join(torch.cat([x, skips.pop()], dim=-1)), *rest)
        return self.norm(x)


def sinusoid(t: Tensor, width: int) -> Tensor:
    angles = t.float()[:, None] * torch.exp(-torch.arange(width // 2) * (9.2103 / (width // 2)))
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Denoiser(nn.Module):
    """Three tokens: latent, time, text; 8.2 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(768, D), nn.SiLU(), nn.Linear(D, D))
        self.text = nn.Sequential(nn.ReLU(), nn.Linear(768, D))
        self.positions = nn.Parameter(torch.rand(500, 1, D))
        self.encoder = SkipStack(D, 9, HEADS, FF, Layer)

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        sequence = torch.stack([x[:, 0], self.time(sinusoid(t, 768)), self.text(text[:, 0])])
        return self.encoder(sequence + self.positions[:3])[:1].transpose(0, 1)


class Decoder(nn.Module):
    """The VAE's decoder: queries attend to the one latent token; about half of its 18 M parameters."""

    def __init__(self, features: int = 263) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.rand(500, 1, D))
        self.stack = SkipStack(D, 9, HEADS, FF, lambda *size: Layer(*size, cross=True))
        self.final = nn.Linear(D, features)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        queries = torch.zeros(frames, x.shape[0], D) + self.positions[:frames]
        padding = torch.zeros(x.shape[0], frames, dtype=torch.bool)
        return self.final(self.stack(queries, padding, x.transpose(0, 1))).transpose(0, 1)


class Adapted(nn.Module):
    """An update s B A x beside a layer, computed apart each time."""

    def __init__(self, inputs: int, outputs: int, rank: int = 128) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * self.b(self.a(x))


class AdaptedLayer(nn.Module):
    """Encoder layer whose attention inputs, output and feed-forward carry switchable adapters."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.base = Layer(width, heads, feedforward)
        self.qkvo = nn.ModuleList(Adapted(width, width) for _ in range(4))
        self.one, self.two = Adapted(width, feedforward), Adapted(feedforward, width)
        self.on = False

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        if not self.on:
            return self.base(x, padding)
        q, k, v = (x + adapter(x) for adapter in self.qkvo[:3])
        mixed = self.base.attention(q, k, v, key_padding_mask=padding)[0]
        x = self.base.norms[0](x + mixed + self.qkvo[3](mixed))
        hidden = F.gelu(self.base.linear1(x) + self.one(x))
        return self.base.norms[1](x + self.base.linear2(hidden) + self.two(hidden))


class Tower(nn.Module):
    """MotionReward's motion tower, `tiny`, with adapters of rank 128."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(263, 256), nn.GELU(), nn.Linear(256, D))
        self.adapters = nn.ModuleList([Adapted(263, 256), Adapted(256, D)])
        self.token = nn.Parameter(torch.randn(1, 1, D))
        self.time = nn.Sequential(nn.Linear(512, D), nn.SiLU(), nn.Linear(D, D))
        self.positions = nn.Parameter(torch.rand(500, 1, D))
        self.encoder = SkipStack(D, 3, 4, 512, AdaptedLayer)
        self.leave = nn.Linear(D, 256)

    def forward(self, motion: Tensor, t: Tensor, adapted: bool) -> Tensor:
        """(B, T, 263) to (B, 128) means."""
        for layer in self.encoder.modules():
            if isinstance(layer, AdaptedLayer):
                layer.on = adapted
        x = motion.transpose(0, 1)
        if adapted:
            x = F.gelu(self.project[0](x) + self.adapters[0](x))
            x = self.project[2](x) + self.adapters[1](x)
        else:
            x = self.project(x)
        batch, frames = motion.shape[:2]
        head = [self.token.expand(1, batch, -1), self.time(sinusoid(t, 512))[None]]
        x = torch.cat([*head, x]) + self.positions[: frames + 2]
        padding = torch.zeros(batch, frames + 2, dtype=torch.bool)
        return self.leave(self.encoder(x, padding)[0])[:, :128]


class TextTower(nn.Module):
    """Token states of 1024 to an embedding of 128."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.token = nn.Linear(1024, 128), nn.Parameter(torch.randn(1, 1, 128))
        self.encoder = SkipStack(128, 3, 4, 512, Layer)
        self.leave = nn.Linear(128, 256)

    def forward(self, states: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(1, len(states), -1), self.project(states).transpose(0, 1)])
        return self.leave(self.encoder(x)[0])[:, :128]


class Reward(nn.Module):
    """Four terms, each with a pass of its own; the authenticity tower is a second copy."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.other, self.text = Tower(), Tower(), TextTower()
        self.preference = nn.Sequential(nn.Linear(128, 256), nn.GELU(), nn.Linear(256, 1))
        self.authenticity = nn.Sequential(nn.Linear(128, 256), nn.GELU(), nn.Linear(256, 2))

    def forward(self, motion: Tensor, reference: Tensor, states: Callable[[], Tensor], t: Tensor) -> Tensor:
        zero = torch.zeros_like(t)
        preference = self.preference(self.tower(motion, t, adapted=True))[:, 0]
        semantic = F.cosine_similarity(self.text(states()), self.tower(motion, t, adapted=False))
        own = self.tower(motion, t, adapted=False)
        similarity = F.cosine_similarity(self.tower(reference, zero, adapted=False), own)
        real = self.authenticity(self.other(motion, t, adapted=True)).softmax(-1)[:, 0]
        return semantic + 0.002 * preference + 0.002 * real + similarity


class ReferenceLoop:
    """Trajectories by the plain loop.

    Args:
        states: the reward's text token states, computed anew at every judged step.
        window: judged positions, each followed by an update; for DRaFT, positions that carry gradient.
        draft: one update at the end, gradient through the window.
    """

    def __init__(
        self,
        batch: int,
        frames: int,
        steps: int,
        window: Sequence[int],
        states: Callable[[], Tensor],
        draft=False,
    ):
        torch.manual_seed(0)
        self.denoiser, self.decoder, self.reward = Denoiser(), Decoder(), Reward()
        for frozen in (self.decoder, self.reward):
            frozen.eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.denoiser.parameters(), lr=1e-5, weight_decay=0.0)
        self.batch, self.frames, self.steps, self.window, self.states = batch, frames, steps, window, states
        self.draft = draft
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        self.alpha_bar = torch.cumprod(1 - betas, 0)
        self.times = [1000 // steps * (steps - 1 - i) + 1 for i in range(steps)]
        self.text, self.null = torch.randn(batch, 1, 768), torch.randn(1, 1, 768).expand(batch, -1, -1)
        self.start, self.truth = torch.randn(batch, 1, LATENT), torch.randn(batch, frames, 263)

    def trajectory(self) -> None:
        self.denoiser.train()
        x = self.start
        for i, t in enumerate(self.times):
            judged = i in self.window
            with torch.set_grad_enabled(judged):
                both = self.denoiser(
                    torch.cat([x, x]), torch.full((2 * self.batch,), t), torch.cat([self.null, self.text])
                )
                null, text = both.chunk(2)
                e = null + 7.5 * (text - null)
                a = self.alpha_bar[t]
                b = self.alpha_bar[t - 1000 // self.steps] if i + 1 < self.steps else self.alpha_bar[0]
                x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
                onward = b.sqrt() * x0 + (1 - b).sqrt() * e
            last = i == max(self.window)
            if judged and (last or not self.draft):
                self._update(x0, onward, t)
                if last:
                    return
            x = onward if self.draft else onward.detach()

    def _update(self, x0: Tensor, onward: Tensor, t: int) -> None:
        unused = self.decoder(x0, self.frames)
        motion = self.decoder(onward, self.frames)
        level = torch.full((self.batch,), 0 if self.draft else min(t, 499))
        loss = -self.reward(motion, self.truth, self.states, level).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(self.denoiser.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        del unused
