"""PP-OCRv6's text detector as a torch module: features that already know lettering, to start our networks from.

The network is the one that the `rapidocr` package bundles (PaddleOCR, Apache-2.0): a light backbone with maps of
strides 4 to 32 and a feature pyramid of 96 channels at stride 4. Its batch norms are folded into the kernels, so the
weights in the ONNX file are kernels and biases in a fixed order, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PYRAMID_CHANNELS = 96
LEVEL_CHANNELS = 96
"""Channels of each map of the pyramid before they are joined."""


class BackboneError(Exception):
    """A file is not the network that this module describes."""


class _Gate(nn.Module):  # type: ignore[misc, unused-ignore]
    """Channel attention (squeeze and excite)."""

    def __init__(self, channels: int, *, slope: float) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return (self.excite(inner) * self.slope + 0.5).clamp(0, 1)


class _Block(nn.Module):  # type: ignore[misc, unused-ignore]
    """Depthwise mixing in space, then pointwise mixing of channels with a residual where the shape allows."""

    def __init__(self, channels: int, out: int, *, stride: int = 1, gated: bool = False) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels)
        self.gate = _Gate(channels, slope=1 / 6) if gated else None
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, out, 1)
        self.is_residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        x = self.space(x)
        if self.gate is not None:
            x = x * self.gate(x)
        mixed: Tensor = self.narrow(functional.gelu(self.widen(x)))
        return x + mixed if self.is_residual else mixed


class _Stem(nn.Module):  # type: ignore[misc, unused-ignore]
    """Picture to 48 channels at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.left = nn.Conv2d(24, 12, 2)
        self.right = nn.Conv2d(12, 24, 2)
        self.joined = nn.Conv2d(48, 24, 3, stride=2, padding=1)
        self.last = nn.Conv2d(24, 48, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x))
        padded = functional.pad(x, (0, 1, 0, 1))
        pooled = functional.max_pool2d(padded, 2, stride=1)  # after a ReLU, so that padding by 0 changes nothing
        fine = functional.relu(self.left(padded))
        fine = functional.relu(self.right(functional.pad(fine, (0, 1, 0, 1))))
        x = functional.relu(self.joined(torch.cat([pooled, fine], 1)))
        return functional.relu(self.last(x))


class _GatedConv(nn.Module):  # type: ignore[misc, unused-ignore]
    """A convolution, plus its own output weighed by channel attention."""

    def __init__(self, channels: int, out: int, *, mixes_space: bool = False) -> None:
        super().__init__()
        self.space = nn.Conv2d(channels, channels, 7, padding=3, groups=channels) if mixes_space else None
        self.reduce = nn.Conv2d(channels, out, 1, bias=False)
        self.gate = _Gate(out, slope=0.2)

    def forward(self, x: Tensor) -> Tensor:
        if self.space is not None:
            x = self.space(x)
        x = self.reduce(x)
        return x + x * self.gate(x)


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Maps of a picture: `joined` (B, 96, H/4, W/4); `levels` (B, 96, ...) of strides 4, 8, 16 and 32."""

    joined: Tensor
    levels: tuple[Tensor, ...]


class OcrBackbone(nn.Module):  # type: ignore[misc, unused-ignore]
    """Picture (B, 3, H, W), BGR in -1..1, sides multiples of 32, to a feature pyramid.

    The modules are made in the order in which the file has their weights; see `load_pretrained`.
    """

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        self.stem = _Stem()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(_Block(48, 48, gated=True), _Block(48, 48)),
                nn.Sequential(_Block(48, 96, stride=2), _Block(96, 96, gated=True), _Block(96, 96)),
                nn.Sequential(
                    _Block(96, 192, stride=2),
                    _Block(192, 192, gated=True),
                    _Block(192, 192),
                    _Block(192, 192, gated=True),
                    _Block(192, 192),
                ),
                nn.Sequential(_Block(192, 384, stride=2), _Block(384, 384, gated=True), _Block(384, 384)),
            ]
        )
        self.inner = nn.ModuleList([_GatedConv(c, LEVEL_CHANNELS) for c in (384, 192, 96, 48)])
        self.outer = nn.ModuleList([_GatedConv(LEVEL_CHANNELS, 24, mixes_space=True) for _ in range(4)])

    def forward(self, pixels: Tensor) -> Pyramid:
        """Features of normalised pixels."""
        return self.joined(self.trunk(pixels))

    def trunk(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Maps of normalised pixels before they are joined: 48, 96, 192 and 384 channels at strides 4, 8, 16 and 32."""
        x = self.stem(pixels)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return tuple(found)

    def joined(self, found: tuple[Tensor, ...]) -> Pyramid:
        """The pyramid over what `trunk` gives."""
        levels: list[Tensor] = []
        for inner, level in zip(self.inner, reversed(found), strict=True):
            level = inner(level)
            levels.append(level + _doubled(levels[-1]) if levels else level)
        outer = [outer(level) for outer, level in zip(self.outer, levels, strict=True)]
        joined = [functional.interpolate(m, scale_factor=8 >> i, mode="nearest") for i, m in enumerate(outer[:-1])]
        return Pyramid(torch.cat([*joined, outer[-1]], 1), tuple(reversed(levels)))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def load_pretrained(backbone: OcrBackbone, path: Path) -> tuple[Tensor, Tensor]:
    """Fill `backbone` with the weights of a PP-OCRv6 small detector (ONNX).

    Returns:
        Kernel (24, 96, 3, 3) and bias (24,) of the file's own head on the joined map: a start for other heads.

    Raises:
        BackboneError: The file is of another network.
    """
    pairs = _kernels(path)
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)]
    if len(pairs) != len(layers) + 1:
        raise BackboneError(f"{path} has {len(pairs)} convolutions, {len(layers) + 1} were expected")
    with torch.no_grad():
        for layer, (kernel, bias) in zip(layers, pairs, strict=False):
            if tuple(layer.weight.shape) != kernel.shape or (layer.bias is None) != (bias is None):
                raise BackboneError(
                    f"{path}: a kernel of {kernel.shape} where {tuple(layer.weight.shape)} was expected"
                )
            layer.weight.copy_(torch.from_numpy(kernel))
            if layer.bias is not None and bias is not None:
                layer.bias.copy_(torch.from_numpy(bias))
    kernel, bias = pairs[-1]
    if bias is None:
        raise BackboneError(f"{path}: the head has no bias")
    return torch.from_numpy(kernel), torch.from_numpy(bias)


def _kernels(path: Path) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
    """Kernels and biases of all convolutions in order; a bias is the addition right behind its convolution."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    pairs = []
    for node, behind in zip(graph.node, [*graph.node[1:], None], strict=True):
        if node.op_type != "Conv":
            continue
        kernel = numpy_helper.to_array(values[node.input[1]]).astype(np.float32)
        bias = None
        if behind is not None and behind.op_type == "Add" and behind.input[1] in values:
            given = numpy_helper.to_array(values[behind.input[1]]).astype(np.float32)
            if given.size == len(kernel) and node.output[0] in behind.input:
                bias = given.reshape(-1)
        pairs.append((kernel.copy(), None if bias is None else bias.copy()))
    return pairs
