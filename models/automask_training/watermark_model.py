"""The watermark detector: a one-stage, anchor-free head on the features of the ink network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from automask_training.ink_model import InkConfig, InkNet
from automask_training.watermark_features import LEVEL_CHANNELS, STRIDES, ink_features, unpacked
from automask_training.watermark_truth import CLASSES

ALL_STRIDES = (*STRIDES, 2 * STRIDES[-1])
ROWS = 300
"""Boxes of an answer, as ultralytics' end-to-end heads give; the rest of it has a score of 0."""
_RARE_LOGIT = -4.6  # a score of .01: nearly all cells have no mark
_INWARD = 0.5
"""So far, in strides, the middle of a cell may lie outside of its box: boxes can be thinner than a cell."""
_SUPPRESSED_IOU = 0.6
_SUPPRESSION_ROUNDS = 6
"""After so many rounds chains of boxes that suppress each other are settled as one after the other would settle them;
longer chains than this do not occur among boxes of one mark."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Shape of neck and head: channels of its maps, and of the two branches.

    With `learns_features` the upper stages of the ink network below them learn, too: those that they see. Its lowest
    one, which takes most of the time, and its own answer's layers stay.
    """

    width: int = 64
    branch_width: int = 48
    learns_features: bool = False


def _convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.Hardswish()
    )


@dataclass(frozen=True, eq=False)
class Answer:
    """What all A cells of all levels say of B pictures, level by level, row by row.

    logits (B, A, classes); boxes (B, A, 4) xyxy px; centres (A, 2) x y px of the cells; strides (A,) px.
    """

    logits: Tensor
    boxes: Tensor
    centres: Tensor
    strides: Tensor


class MarkNet(nn.Module):  # type: ignore[misc, unused-ignore]
    """Pixels (B, 3, H, W) float RGB 0..255, sides multiples of 32, to `Answer`.

    The ink network is trained beforehand and kept as it is, unless `HeadConfig.learns_features`. Its stages and its own
    answer go through a neck (top-down, then one level more for marks as large as the picture) to two branches, boxes
    and classes, shared by all levels.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.ink = InkNet(InkConfig()).eval().requires_grad_(requires_grad=False)
        self.ink.backbone.stages[1:].requires_grad_(requires_grad=config.learns_features)
        self._learns_features = config.learns_features
        width, narrow = config.width, config.branch_width
        self.inner = nn.ModuleList(_convolution(channels, width, kernel=1) for channels in LEVEL_CHANNELS)
        self.outer = nn.ModuleList(_convolution(width, width) for _ in LEVEL_CHANNELS)
        self.coarsest = _convolution(width, width, stride=2)
        self.context = _convolution(width, width)
        self.class_branch = nn.Sequential(_convolution(width, narrow), _convolution(narrow, narrow))
        self.box_branch = _convolution(width, narrow)
        self.to_logits = nn.Conv2d(narrow, len(CLASSES), 1)
        self.to_sides = nn.Conv2d(narrow, 4, 1)
        self.scales = nn.Parameter(torch.ones(len(ALL_STRIDES)))
        with torch.no_grad():
            self.to_logits.weight.mul_(0.1)
            self.to_logits.bias.fill_(_RARE_LOGIT)
            self.to_sides.bias.fill_(1.5)

    def train(self, mode: bool = True) -> MarkNet:
        """As in torch; the ink network stays in evaluation mode."""
        super().train(mode)
        self.ink.eval()
        return self

    def features(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the head sees of pixels, uint8 or float 0..255; without gradients where it does not learn."""
        with torch.set_grad_enabled(self._learns_features and torch.is_grad_enabled()):
            return ink_features(self.ink, pixels.float().contiguous(memory_format=torch.channels_last))

    @staticmethod
    def unpacked(values: Tensor, size_px: int) -> tuple[Tensor, ...]:
        """The same from stored features (B, V) of square pictures; see `watermark_features.unpacked`."""
        return unpacked(values, size_px)

    def forward(self, pixels: Tensor) -> Answer:
        """Answer of a batch."""
        return self.answer(self.features(pixels))

    def answer(self, features: tuple[Tensor, ...]) -> Answer:
        """Answer from maps (B, C, H/s, W/s) of `watermark_features.STRIDES`."""
        levels = [inner(each) for inner, each in zip(self.inner, features, strict=True)]
        for fine in (1, 0):
            levels[fine] = levels[fine] + functional.interpolate(levels[fine + 1], scale_factor=2.0, mode="nearest")
        levels = [outer(each) for outer, each in zip(self.outer, levels, strict=True)]
        coarsest = self.coarsest(levels[-1])
        levels.append(coarsest + self.context(coarsest))
        logits, boxes, centres, strides = [], [], [], []
        for level, stride, scale in zip(levels, ALL_STRIDES, self.scales, strict=True):
            middle = _centres(level, stride)
            sides = functional.softplus(self.to_sides(self.box_branch(level)).float()) * scale - _INWARD
            sides = (sides * stride).flatten(2).transpose(1, 2)
            boxes.append(torch.cat([middle - sides[..., :2], middle + sides[..., 2:]], -1))
            logits.append(self.to_logits(self.class_branch(level)).float().flatten(2).transpose(1, 2))
            centres.append(middle)
            strides.append(torch.ones_like(middle[:, 0]) * stride)
        return Answer(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(centres), torch.cat(strides))


def _centres(level: Tensor, stride: int) -> Tensor:
    """Middles (h * w, 2), x y px, of the cells of a map (B, C, h, w); traced as a function of its size."""
    ones = torch.ones_like(level[0, 0])
    x, y = ones.cumsum(1) - 0.5, ones.cumsum(0) - 0.5
    return torch.stack([x.flatten(), y.flatten()], -1) * stride


class Detector(nn.Module):  # type: ignore[misc, unused-ignore]
    """pixels (B, 3, H, W) float32 RGB 0..1 -> detections (B, 300, 6): xyxy px, score, class; best first, none twice."""

    def __init__(self, model: MarkNet) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Detect."""
        answer: Answer = self.model(images * 255)
        scores, classes = answer.logits.sigmoid().max(-1)
        high, wide = images.shape[-2], images.shape[-1]
        x = answer.boxes[..., 0::2].clamp(min=0).minimum(torch.ones_like(answer.boxes[..., :1]) * wide)
        y = answer.boxes[..., 1::2].clamp(min=0).minimum(torch.ones_like(answer.boxes[..., :1]) * high)
        rows = torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1], scores, classes.to(scores.dtype)], -1)
        rows = torch.cat([rows, rows.new_zeros(1, ROWS, 6).expand(rows.shape[0], ROWS, 6)], 1)  # small pictures
        rows = _best(rows)
        kept = unsuppressed(rows[..., :4])
        return _best(torch.cat([rows[..., :4], rows[..., 4:5] * kept[..., None], rows[..., 5:]], -1))


def _best(rows: Tensor) -> Tensor:
    """The best `ROWS` of rows (B, N, 6), best first."""
    order = rows[..., 4].topk(ROWS, dim=1).indices
    return rows.gather(1, order[..., None].expand(-1, -1, 6))


def unsuppressed(boxes: Tensor) -> Tensor:
    """1 for boxes (B, N, 4), best first, that no better one which stays overlaps by more than .6, else 0: (B, N) float.

    Greedy suppression as a few products of matrices ("cluster NMS", Zheng et al., 2020), so that one graph does it.
    """
    clash = torch.triu((pairwise_iou(boxes, boxes) > _SUPPRESSED_IOU).to(boxes.dtype), diagonal=1)
    kept = torch.ones_like(boxes[..., 0])
    for _ in range(_SUPPRESSION_ROUNDS):
        kept = 1 - (kept[:, None, :] @ clash).squeeze(1).clamp(max=1)
    return kept


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU (..., N, M) of boxes (..., N, 4) and (..., M, 4), xyxy."""
    low = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    high = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = _area(first)[..., :, None] + _area(second)[..., None, :]
    return shared / (area - shared).clamp(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
