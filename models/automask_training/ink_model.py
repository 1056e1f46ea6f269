"""The ink network: which pixels of a picture were put on top of it, and which of them belong to a mark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from automask_training.ocr_backbone import PYRAMID_CHANNELS, OcrBackbone, Pyramid, load_pretrained

CELL_PX = 4
"""Input pixels per cell of the answer."""
CHANNELS = ("unwanted", "mark")
_RARE_LOGIT = -3.0


@dataclass(frozen=True, kw_only=True)
class InkConfig:
    """Shape of the network: channels of its head."""

    head_channels: int = 48


class InkNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to logits (B, 2, H/4, W/4) of `CHANNELS`.

    The first channel says whether a cell holds lettering or a mark; the second one, meaningful only there, whether that
    is a mark (watermark, signature, logo, stamp) rather than text of the picture.
    """

    def __init__(self, config: InkConfig, *, start: Path | None = None) -> None:
        """Build with random weights, or start from a PP-OCRv6 detector (see `ocr_backbone.load_pretrained`)."""
        super().__init__()
        self.config = config
        self.backbone = OcrBackbone()
        width = config.head_channels
        self.head = nn.Sequential(
            nn.Conv2d(PYRAMID_CHANNELS, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, len(CHANNELS), 1),
        )
        with torch.no_grad():
            self.head[-1].bias.copy_(torch.tensor([_RARE_LOGIT, 0.0]))
            if start is not None:
                kernel, bias = load_pretrained(self.backbone, start)
                self.head[0].weight[: len(kernel)] = kernel
                self.head[0].bias[: len(bias)] = bias

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of a batch."""
        logits: Tensor = self.head(self.pyramid(pixels).joined)
        return logits

    def pyramid(self, pixels: Tensor) -> Pyramid:
        """The backbone's features of a batch."""
        found: Pyramid = self.backbone(normalised(pixels))
        return found


def normalised(pixels: Tensor) -> Tensor:
    """RGB 0..255 as PP-OCR wants it: BGR -1..1."""
    return pixels.flip(1) / 127.5 - 1
