"""The layout network: which cells of a picture, seen as a whole, are frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from automask_training.synth.layout.framed import CHANNELS

_RARE_LOGIT = -2.0


@dataclass(frozen=True, kw_only=True)
class LayoutConfig:
    """Shape of the network: channels at strides 2, 4, 8, 16 and 32, and of its head."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 96, 128)
    head_channels: int = 32


def _convolution(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.Hardswish()
    )


class StraightBlock(nn.Module):  # type: ignore[misc, unused-ignore]
    """Residual block that also adds the mean of each cell's row and of its column: frames are straight.

    Depthwise kernels would have fewer parameters, but on a CPU they take three times as long to train.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.row = nn.Conv2d(channels, channels, 1)
        self.column = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        along = self.row(x.mean(3, keepdim=True)) + self.column(x.mean(2, keepdim=True))
        return functional.hardswish(x + self.second(self.first(x)) + along)


class LayoutNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to logits (B, 4, H/4, W/4) of `CHANNELS`.

    Two more inputs, the distances from the middle, say where in the picture a cell is.
    """

    def __init__(self, config: LayoutConfig) -> None:
        """Build with random weights."""
        super().__init__()
        stem, *wide = config.widths
        self.stem = _convolution(5, stem, stride=2)
        self.down = nn.ModuleList(_convolution(a, b, stride=2) for a, b in zip(config.widths, wide, strict=False))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(StraightBlock(width) for _ in range(2 if depth else 1))) for depth, width in enumerate(wide)
        )
        self.up16 = _convolution(wide[3], wide[2], kernel=1)
        self.block16 = StraightBlock(wide[2])
        self.up8 = _convolution(wide[2], wide[1], kernel=1)
        self.block8 = StraightBlock(wide[1])
        self.up4 = _convolution(wide[1], config.head_channels, kernel=1)
        self.skip4 = _convolution(wide[0], config.head_channels, kernel=1)
        self.head = nn.Sequential(
            _convolution(config.head_channels, config.head_channels),
            nn.Conv2d(config.head_channels, len(CHANNELS), 1),
        )
        with torch.no_grad():
            self.head[-1].bias.fill_(_RARE_LOGIT)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch."""
        batch, _, rows, columns = pixels.shape
        down = torch.linspace(-1, 1, rows, device=pixels.device).abs().view(1, 1, rows, 1)
        across = torch.linspace(-1, 1, columns, device=pixels.device).abs().view(1, 1, 1, columns)
        where = [down.expand(batch, 1, rows, columns), across.expand(batch, 1, rows, columns)]
        x = self.stem(torch.cat([pixels / 255 - 0.5, *where], 1))
        features = []
        for smaller, block in zip(self.down, self.blocks, strict=True):
            x = block(smaller(x))
            features.append(x)
        at4, at8, at16, at32 = features
        x = self.block16(_enlarged(self.up16(at32)) + at16)
        x = self.block8(_enlarged(self.up8(x)) + at8)
        logits: Tensor = self.head(_enlarged(self.up4(x)) + self.skip4(at4))
        return logits


def _enlarged(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
