"""The scene network: where lettering lies, told from what an ImageNet network sees of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from automask_training.efficientnet import CHANNELS, STRIDES, EfficientNetLite0

STRIDE = STRIDES[0]
"""Of the map that the network gives."""
_RARE_LOGIT = -3.0  # a probability of .05: most cells of most pictures have no lettering


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """Shape of the head: channels of its maps, and of the last one."""

    width: int = 64
    last_width: int = 48


def _convolution(inputs: int, outputs: int, *, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.Hardswish()
    )


class SceneHead(nn.Module):  # type: ignore[misc, unused-ignore]
    """Maps of `EfficientNetLite0` to logits (B, 1, H/8, W/8): top-down, so that each cell knows what is around it."""

    def __init__(self, config: SceneConfig) -> None:
        """Build with random weights."""
        super().__init__()
        width = config.width
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for channels in CHANNELS)
        self.inner = nn.ModuleList(_convolution(channels, width, kernel=1) for channels in CHANNELS)
        self.context = _convolution(width, width)
        self.middle = _convolution(width, width)
        self.fine = nn.Sequential(_convolution(width, width), _convolution(width, config.last_width))
        self.to_logit = nn.Conv2d(config.last_width, 1, 1)
        nn.init.constant_(self.to_logit.bias, _RARE_LOGIT)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Logits."""
        fine, middle, coarse = (
            inner(norm(each)) for inner, norm, each in zip(self.inner, self.norms, maps, strict=True)
        )
        coarse = coarse + self.context(coarse)
        middle = self.middle(middle + functional.interpolate(coarse, scale_factor=2.0, mode="nearest"))
        fine = self.fine(fine + functional.interpolate(middle, scale_factor=2.0, mode="nearest"))
        logits: Tensor = self.to_logit(fine)
        return logits


class SceneNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to logits of lettering (B, 1, H/8, W/8).

    The backbone keeps its ImageNet weights: the head learns what lettering is, on drawn pictures, and the backbone what
    pictures show, which drawn pictures cannot teach.
    """

    def __init__(self, config: SceneConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.backbone = EfficientNetLite0().eval().requires_grad_(requires_grad=False)
        self.head = SceneHead(config)

    def train(self, mode: bool = True) -> SceneNet:
        """As in torch; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def features(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the head sees of pixels, uint8 or float 0..255; without gradients."""
        with torch.no_grad():
            maps: tuple[Tensor, ...] = self.backbone(pixels.float().contiguous(memory_format=torch.channels_last))
        return maps

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.head(self.features(pixels))
        return logits
