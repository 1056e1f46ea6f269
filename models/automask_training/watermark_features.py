"""What the watermark detector sees of a picture: maps of the frozen ink network, and the network's own answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from automask_training.ink_model import CHANNELS, InkConfig, InkNet, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIDES = (8, 16, 32)
ANSWER_CHANNELS = 4 * len(CHANNELS)
"""The ink answer has stride 4: its four cells in one of stride 8 become channels."""
LEVEL_CHANNELS = (96 + ANSWER_CHANNELS, 192, 384)
"""Channels at `STRIDES`: the backbone's stages, the first one with the ink network's answer behind it."""
_BATCH = 10


def ink_features(ink: InkNet, pixels: Tensor) -> tuple[Tensor, ...]:
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to maps (B, C, H/s, W/s) of `STRIDES`.

    The backbone's stages are taken before its own pyramid joins them: the neck learns its own. Nothing is learned
    through the answer, whose layers are half of the work of a step.
    """
    stages = ink.backbone.trunk(normalised(pixels))
    with torch.no_grad():
        answer = ink.head(ink.backbone.joined(stages).joined)
    return torch.cat([stages[1], functional.pixel_unshuffle(answer, 2)], 1), stages[2], stages[3]


def packed(features: tuple[Tensor, ...]) -> Tensor:
    """Maps (B, C, h, w) as one array (B, V) float16, for the disk."""
    return torch.cat([each.flatten(1) for each in features], 1).half()


def unpacked(values: Tensor, size_px: int) -> tuple[Tensor, ...]:
    """The maps of `packed`, of square pictures of `size_px`, as float32 in channels-last order."""
    sides = [size_px // stride for stride in STRIDES]
    parts = values.split([c * side * side for c, side in zip(LEVEL_CHANNELS, sides, strict=True)], dim=1)
    shaped = [part.view(-1, c, side, side) for part, c, side in zip(parts, LEVEL_CHANNELS, sides, strict=True)]
    return tuple(each.float().contiguous(memory_format=torch.channels_last) for each in shaped)


def ink_of(state: Path | None) -> dict[str, Any]:
    """Weights of an ink network: the moving average of a state, or without one PP-OCR's under an untrained head."""
    if state is not None:
        from automask_training.checkpoint import load_state

        return load_state(state, task="ink").average
    from automask_training.ink import pretrained_ink

    return dict(pretrained_ink(InkConfig()).state_dict())


@dataclass(frozen=True, eq=False)
class InkFeatures:
    """Features of many pictures, for `watermark_samples.render`."""

    ink: InkNet

    @classmethod
    def of_state(cls, path: Path) -> InkFeatures:
        """Those of a trained ink network, computed on one thread."""
        torch.set_num_threads(1)
        ink = InkNet(InkConfig())
        ink.load_state_dict(ink_of(path))
        return cls(ink.eval().to(memory_format=torch.channels_last))

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Pictures (B, S, S, 3) uint8 RGB to features (B, V); see `packed`."""
        found = []
        for first in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[first : first + _BATCH].transpose(0, 3, 1, 2).astype(np.float32))
            with torch.inference_mode():
                found.append(packed(ink_features(self.ink, batch.contiguous(memory_format=torch.channels_last))))
        halves: NDArray[np.float16] = torch.cat(found).numpy()
        return halves
