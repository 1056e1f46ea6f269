"""How good the watermark detector is on held-out synthetic images: average precision, recall and false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automask_training.watermark import CLASSES, MarkedImage, WatermarkTask

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

_MATCH_IOU = 0.5


@dataclass(frozen=True)
class DetectorFigures:
    """Figures at IoU 0.5, classes pooled unless said.

    Attributes:
        average_precision: Area under precision over recall, any class matching any.
        average_precision_by_class: The same with classes kept apart; NaN where none occurred.
        recall: Share of marks found at `threshold`.
        clean_alarm_share: Share of images without marks that get a box at `threshold`.
        threshold: The score that recall and alarms are taken at.
        images: How many images.
        marks: How many marks on them.
    """

    average_precision: float
    average_precision_by_class: tuple[float, ...]
    recall: float
    clean_alarm_share: float
    threshold: float
    images: int
    marks: int


@dataclass(frozen=True, eq=False)
class Found:
    """Detections on one image: boxes (N, 4) float32 xyxy px, scores (N,), classes (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]


def evaluate_detector(
    module: nn.Module, task: WatermarkTask, *, images: int, threshold: float = 0.35, batch_images: int = 8
) -> DetectorFigures:
    """Figures on images 0..images-1 of the task's source, which should be a held-out split."""
    import torch

    from automask_training.ultralytics_boundary import detections

    module.eval()
    truths: list[MarkedImage] = []
    found: list[Found] = []
    for start in range(0, images, batch_images):
        samples = [task.sample(i) for i in range(start, min(images, start + batch_images))]
        pixels = torch.from_numpy(np.stack([s.pixels.transpose(2, 0, 1) for s in samples])).float() / 255
        with torch.inference_mode():
            rows = detections(module, pixels, one_to_one=True).numpy()
        truths += samples
        found += [Found(r[:, :4], r[:, 4], r[:, 5].astype(np.int64)) for r in rows]
    marks = sum(len(t.boxes) for t in truths)
    scores, hits = matched(truths, found)
    clean = [f for t, f in zip(truths, found, strict=True) if not len(t.boxes)]
    return DetectorFigures(
        average_precision=average_precision(scores, hits, marks),
        average_precision_by_class=tuple(_of_class(truths, found, index) for index in range(len(CLASSES))),
        recall=float(hits[scores >= threshold].sum() / max(1, marks)),
        clean_alarm_share=float(np.mean([bool((f.scores >= threshold).any()) for f in clean])) if clean else 0.0,
        threshold=threshold,
        images=images,
        marks=marks,
    )


def matched(truths: list[MarkedImage], found: list[Found]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores of all detections and whether each took a mark of its own, best score first within an image."""
    scores, hits = [], []
    for truth, detected in zip(truths, found, strict=True):
        free = np.ones(len(truth.boxes), bool)
        for at in np.argsort(-detected.scores):
            overlap = box_iou(detected.boxes[at], truth.boxes) * free
            best = int(overlap.argmax()) if len(overlap) else -1
            hit = best >= 0 and bool(overlap[best] >= _MATCH_IOU)
            if hit:
                free[best] = False
            scores.append(float(detected.scores[at]))
            hits.append(hit)
    return np.array(scores, np.float32), np.array(hits, bool)


def box_iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU (N,) of box (4,) with others (N, 4), xyxy."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    ratio: NDArray[np.float32] = (shared / np.maximum(areas - shared, 1e-6)).astype(np.float32)
    return ratio


def average_precision(scores: NDArray[np.float32], hits: NDArray[np.bool_], marks: int) -> float:
    """Area under the precision envelope over recall; NaN without marks."""
    if not marks:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hits[order])
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits[order]).sum() / marks)


def _of_class(truths: list[MarkedImage], found: list[Found], index: int) -> float:
    only = [MarkedImage(t.pixels, t.boxes[t.classes == index], t.classes[t.classes == index]) for t in truths]
    those = [
        Found(f.boxes[f.classes == index], f.scores[f.classes == index], f.classes[f.classes == index]) for f in found
    ]
    return average_precision(*matched(only, those), sum(len(t.boxes) for t in only))
