"""What the reward costs: `python -m tests.benchmarks.reward`.

The motion tower, forward and with the gradient to the motion (which is what fine-tuning asks for), against the same
network written plainly with torch's own layers, on the same weights: tiny size, 16 motions of 196 frames, one thread.
Each figure is the best processor time of several rounds, the two networks taking turns.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from motionrft.lengths import length_mask
from motionrft.reward.motionreward.encoder import MotionTower
from motionrft.reward.motionreward.sizes import PUBLISHED_SIZES

BATCH, FRAMES, ROUNDS = 16, 196, 12


class PlainLayer(nn.Module):
    """A post-norm encoder layer of `nn.MultiheadAttention` and two linear layers, sequence first."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, dropout=0.1)
        self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x, x, value=x, key_padding_mask=padding)[0])
        return self.norm2(x + self.linear2(nn.functional.gelu(self.linear1(x))))


class PlainTower(nn.Module):
    """The motion tower for kinematic motions, every layer over all positions."""

    def __init__(self, tower: MotionTower) -> None:
        super().__init__()
        size = tower.size
        skips = (size.layers - 1) // 2

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList(PlainLayer(size.width, size.heads, size.feedforward) for _ in range(count))

        self.input_blocks, self.output_blocks = layers(skips), layers(skips)
        self.middle_block = layers(1)[0]
        self.linear_blocks = nn.ModuleList(nn.Linear(2 * size.width, size.width) for _ in range(skips))
        self.norm = nn.LayerNorm(size.width)
        self.load_state_dict(tower.encoder.state_dict())
        self.projection, self.dist_layer = tower.get_submodule("proj_263"), tower.dist_layer
        self.token, self.positions = tower.global_motion_token, tower.query_pos_encoder.pe

    def forward(self, motion: Tensor, lengths: Tensor) -> Tensor:
        x = self.projection(motion).transpose(0, 1)
        x = torch.cat((self.token[:, None].expand(1, x.shape[1], -1), x))
        padding = ~length_mask(lengths + 1, len(x))
        x = x + self.positions[: len(x)]
        skips = []
        for layer in self.input_blocks:
            x = layer(x, padding)
            skips.append(x)
        x = self.middle_block(x, padding)
        for join, layer in zip(self.linear_blocks, self.output_blocks, strict=True):
            x = layer(join(torch.cat((x, skips.pop()), dim=-1)), padding)
        return self.dist_layer(self.norm(x)[0]).chunk(2, dim=-1)[0]


def networks() -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]:
    """Ours and the plain one on the same frozen weights; both give (B, L) means."""
    torch.manual_seed(0)
    tower = MotionTower(PUBLISHED_SIZES["tiny"]).eval().requires_grad_(False)
    plain = PlainTower(tower).eval().requires_grad_(False)
    return (lambda motion, lengths: tower(motion, lengths, "kinematic").mean), plain


def batch() -> tuple[Tensor, Tensor]:
    """Motions of 60 to 196 frames."""
    lengths = torch.linspace(60, FRAMES, BATCH).long()
    return torch.randn(BATCH, FRAMES, 263) * length_mask(lengths, FRAMES)[..., None], lengths


def forward(network: Callable[[Tensor, Tensor], Tensor], motion: Tensor, lengths: Tensor) -> None:
    """One judgement without gradient."""
    with torch.no_grad():
        network(motion, lengths)


def backward(network: Callable[[Tensor, Tensor], Tensor], motion: Tensor, lengths: Tensor) -> None:
    """One judgement and its gradient with respect to the motion."""
    motion = motion.clone().requires_grad_()
    network(motion, lengths).sum().backward()


def best_seconds(task: Callable[..., None], ours: Callable, plain: Callable) -> tuple[float, float]:
    """Best time of each, in turn, so that a busy machine is busy for both."""
    motion, lengths = batch()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for network, spent in zip((ours, plain), times, strict=True):
            started = time.process_time()
            task(network, motion, lengths)
            spent.append(time.process_time() - started)
    return min(times[0]), min(times[1])


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    ours, plain = networks()
    motion, lengths = batch()
    with torch.no_grad():
        difference = (ours(motion, lengths) - plain(motion, lengths)).abs().max().item()
    print(f"tiny, {BATCH} motions of {FRAMES} frames, one thread; largest difference {difference:.1e}")
    for name, task in (("forward", forward), ("forward and backward", backward)):
        quick, slow = best_seconds(task, ours, plain)
        print(f"{name:22} ours {1e3 * quick:7.1f} ms   plain {1e3 * slow:7.1f} ms   {slow / quick:.2f}x")


if __name__ == "__main__":
    main()
