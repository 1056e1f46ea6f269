"""What the watermark detector is taught: which cells answer for which mark, and how wrong they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from automask_training.watermark_model import Answer, pairwise_iou

if TYPE_CHECKING:
    from automask_training.watermark_truth import Truth

_ANSWERING_CELLS = 10
_SCORE_POWER, _IOU_POWER = 0.5, 4.0
_NEGATIVE_WEIGHT, _NEGATIVE_POWER = 0.75, 2.0
_LEAST_SIDE_PX = 16.0
"""Cells answer for a mark when their middles lie in its box; boxes thinner than two of the finest cells are taken as so
wide, or none might."""


def detector_loss(answer: Answer, truths: Sequence[Truth], *, box_weight: float) -> tuple[Tensor, Mapping[str, float]]:
    """Varifocal loss of all scores (Zhang et al., 2021) and GIoU loss of the boxes of the cells that answer for a mark.

    Cells in boxes that count neither way, and answer for nothing else, have no say.
    """
    wanted = torch.zeros_like(answer.logits)
    counts = torch.ones_like(answer.logits[..., :1])
    box_losses, overlaps = [], []
    for number, truth in enumerate(truths):
        boxes, ignored, classes = (
            torch.from_numpy(each).to(answer.boxes.device) for each in (truth.boxes, truth.ignored, truth.classes)
        )
        if len(ignored):
            counts[number, _inside(answer.centres, ignored).any(1)] = 0
        if not len(boxes):
            continue
        scores = answer.logits[number].detach().sigmoid()
        found = answer.boxes[number]
        cells, marks, quality = assigned(scores, found.detach(), answer, boxes, classes)
        if not len(cells):
            continue
        wanted[number, cells, classes[marks]] = quality
        counts[number, cells] = 1
        iou, giou = paired_iou(found[cells], boxes[marks])
        box_losses.append(((1 - giou) * quality).sum())
        overlaps.append(iou.detach())
    total = wanted.sum().clamp(min=1)
    probability = answer.logits.sigmoid()
    weight = torch.where(wanted > 0, wanted, _NEGATIVE_WEIGHT * probability.detach() ** _NEGATIVE_POWER)
    each = functional.binary_cross_entropy_with_logits(answer.logits, wanted, reduction="none")
    score_loss = (each * weight * counts).sum() / total
    box_loss = torch.stack(box_losses).sum() / total if box_losses else answer.boxes.sum() * 0
    iou = float(torch.cat(overlaps).mean()) if overlaps else float("nan")
    parts = {"score": float(score_loss.detach()), "box": float(box_loss.detach()), "iou": iou}
    return score_loss + box_weight * box_loss, parts


def assigned(
    scores: Tensor, found: Tensor, answer: Answer, boxes: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells answer for which marks: those that do best in score and place together ("TOOD", Feng et al., 2021).

    Args:
        scores: (A, classes) 0..1.
        found: (A, 4) xyxy px that the cells say.
        answer: Whose cells these are.
        boxes: (M, 4) xyxy px of the marks.
        classes: (M,) of the marks.

    Returns:
        Cells (K,), for each its mark (K,), and how well it should score, (K,) 0..1: the best cell of a mark as well as
        its box fits, the others by their share of that.
    """
    inside = _inside(answer.centres, _widened(boxes))
    iou = pairwise_iou(found, boxes)
    fit = scores[:, classes].clamp(min=1e-6) ** _SCORE_POWER * iou**_IOU_POWER
    # While nothing fits yet, cells of the right size near the middle begin.
    fit = (fit + 1e-6 * _prior(answer, boxes)) * inside
    best = fit.topk(min(_ANSWERING_CELLS, len(fit)), dim=0)
    chosen = torch.zeros_like(fit).scatter_(0, best.indices, 1.0) * (fit > 0)
    fit = fit * chosen
    cells = chosen.any(1).nonzero().squeeze(1)
    marks = (fit[cells] + 1e-12 * chosen[cells]).argmax(1)
    share = fit[cells, marks] / fit.max(0).values.clamp(min=1e-12)[marks]
    most = (iou * chosen).max(0).values.clamp(min=0.1)[marks]  # so much at least, or bad boxes are never learned
    return cells, marks, share * most


def _prior(answer: Answer, boxes: Tensor) -> Tensor:
    """How well cells of each size and place suit marks (A, M), 0..1."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    suited = torch.exp(-((size.prod(1).sqrt()[None] / (4 * answer.strides[:, None])).log2() ** 2))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = ((answer.centres[:, None] - middle[None]) / size[None]).pow(2).sum(-1)
    return suited * torch.exp(-4 * away)


def _widened(boxes: Tensor) -> Tensor:
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = ((boxes[:, 2:] - boxes[:, :2]) / 2).clamp(min=_LEAST_SIDE_PX / 2)
    return torch.cat([middle - half, middle + half], 1)


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """(A, M) bool."""
    low, high = centres[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - centres[:, None]
    return torch.cat([low, high], -1).min(-1).values > 0


def paired_iou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019), each (N,), of boxes (N, 4) xyxy with others (N, 4)."""
    sizes = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(1) for each in (first, second)]
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (sizes[0] + sizes[1] - shared).clamp(min=1e-6)
    around = torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])
    hull = around.clamp(min=0).prod(1).clamp(min=1e-6)
    iou = shared / union
    return iou, iou - (hull - union) / hull
