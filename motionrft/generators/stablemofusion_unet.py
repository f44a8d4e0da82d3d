"""The denoiser of StableMoFusion: a one-dimensional U-Net over frames with linear attention to the text."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionrft.generators.linear_attention import FrameAttention
from motionrft.generators.mdm_denoiser import interleaved_sinusoids
from motionrft.linear import Linear

_GROUPS = 8
_HEADS = 8
_TIMES = 5000  # rows of the time table
_MULTIPLE = 16  # frames are padded to it, as published, whatever the number of levels


class ConvBlock(nn.Module):
    """Convolution over time, group norm within each frame, optional scale and shift, mish.

    The published name of the norm is `group_norm` in the modulated block and `norm` in the plain one.
    """

    def __init__(self, inputs: int, outputs: int, norm_name: str, kernel: int = 5):
        super().__init__()
        self.block = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm_name = norm_name
        self.add_module(norm_name, nn.GroupNorm(_GROUPS, outputs))

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """x (B, C, T); scale and shift (B, C, 1)."""
        hidden = self.block(x).transpose(1, 2)  # (B, T, C): the norm's batch is every frame
        norm = self.get_submodule(self.norm_name)
        hidden = norm(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2]).transpose(1, 2)  # (B, C, T)
        if scale is not None and shift is not None:
            hidden = hidden * (1 + scale) + shift  # (B, C, T)
        return F.mish(hidden)  # (B, C, T)


class ResidualBlock(nn.Module):
    """Two convolution blocks, the first modulated by time, and a residual."""

    def __init__(self, inputs: int, outputs: int, time_width: int):
        super().__init__()
        self.blocks = nn.ModuleList(
            [ConvBlock(inputs, outputs, "group_norm"), ConvBlock(outputs, outputs, "norm")]
        )
        self.time_mlp = nn.Sequential(nn.Mish(), Linear(time_width, 2 * outputs))
        self.residual_conv = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time_mlp(time)[..., None].chunk(2, dim=1)  # (B, C, 1) each
        return self.blocks[1](self.blocks[0](x, scale, shift)) + self.residual_conv(x)  # (B, C, T)


class Stage(nn.Module):
    """A residual block, then attention of the first `prompts` items to their texts; the others have none."""

    def __init__(self, inputs: int, outputs: int, time_width: int, text_width: int, quadratic: bool):
        super().__init__()
        self.conv1d = ResidualBlock(inputs, outputs, time_width)
        attention = FrameAttention(outputs, _HEADS, text_width, quadratic)
        self.cross_attn = nn.ModuleDict({"cross_attention": attention})

    def forward(self, x: Tensor, time: Tensor, text: Tensor, kept: Tensor | None) -> Tensor:
        hidden = self.conv1d(x, time)  # (B, C, T)
        asking = hidden[: len(text)].transpose(1, 2)  # (P, T, C)
        answer = self.cross_attn["cross_attention"](asking, text).transpose(1, 2)  # (P, C, T)
        if kept is not None:
            answer = answer * kept[:, None, None].to(answer.dtype)
        return hidden + F.pad(answer, (0, 0, 0, 0, 0, len(hidden) - len(text)))  # (B, C, T)


class Resample(nn.Module):
    """Half or twice the frames, by a strided or transposed convolution named `conv`."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class TimeTable(nn.Module):
    """Row t of the interleaved sinusoid table, a constant."""

    table: Tensor  # (rows, width)

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("table", interleaved_sinusoids(_TIMES, width), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """t () or (B,) to (1 or B, width)."""
        return self.table[t.reshape(-1)]


class StableMoFusionUnet(nn.Module):
    """Predicts clean frames (B, T, F).

    Args:
        features: F. widths: channels of the levels; every level halves the frames, the last too.
        time_width: of the time embedding; text_width: of the trained text layers' states.
        quadratic: ordinary attention instead of the linear one.
    """

    def __init__(
        self,
        features: int = 263,
        widths: tuple[int, ...] | list[int] = (1024, 1024, 1024, 1024),
        time_width: int = 512,
        text_width: int = 256,
        quadratic: bool = False,
    ):
        super().__init__()
        self.features = features
        # More than four levels halve the frames more often than 16 allows; nothing published has them.
        self.multiple = max(_MULTIPLE, 2 ** len(widths))

        def stage(inputs: int, outputs: int) -> Stage:
            return Stage(inputs, outputs, time_width, text_width, quadratic)

        self.time_mlp = nn.Sequential(
            TimeTable(time_width),
            Linear(time_width, 4 * time_width),
            nn.Mish(),
            Linear(4 * time_width, time_width),
        )
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for inputs, width in zip((features, *widths), widths):
            down = Resample(nn.Conv1d(width, width, 3, stride=2, padding=1))
            self.downs.append(nn.ModuleList([stage(inputs, width), stage(width, width), down]))
        self.mid_block1, self.mid_block2 = stage(widths[-1], widths[-1]), stage(widths[-1], widths[-1])
        for inputs, width in zip((widths[-1], *reversed(widths)), reversed(widths)):
            up = Resample(nn.ConvTranspose1d(inputs, width, 4, stride=2, padding=1))
            self.ups.append(nn.ModuleList([up, stage(2 * width, width), stage(width, width)]))
        self.final_conv = nn.Conv1d(widths[0], features, 1)

    def forward(self, x: Tensor, t: Tensor, text: Tensor, kept: Tensor | None = None) -> Tensor:
        """Clean frames like x.

        Args:
            x: (B, T, F). t: () or (B,).
            text: (P, L, text_width) of the first P <= B items, the others see none.
            kept: (P,) bool, False for those of the P that see none either (dropped in training); None tells all.
        """
        frames = x.shape[1]
        context = (self.time_mlp(t).to(x.dtype), text, kept)
        hidden = F.pad(x.transpose(1, 2), (0, -frames % self.multiple))  # (B, F, T padded)
        skips = []
        for level in self.downs:
            first, second, down = level.children()
            hidden = second(first(hidden, *context), *context)  # (B, C, T)
            skips.append(hidden)
            hidden = down(hidden)  # (B, C, T / 2)
        hidden = self.mid_block2(self.mid_block1(hidden, *context), *context)  # (B, C, T)
        for level in self.ups:
            up, first, second = level.children()
            hidden = torch.cat([up(hidden), skips.pop()], dim=1)  # (B, 2 C, 2 T)
            hidden = second(first(hidden, *context), *context)  # (B, C, 2 T)
        return self.final_conv(hidden)[..., :frames].transpose(1, 2)  # (B, T, F)
