"""From the raw output of a YOLO network to boxes: both head layouts, and non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.errors import WeightsError


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N boxes, the best first.

    Attributes:
        boxes: (N, 4) float32 xyxy.
        scores: (N,) float32, 0..1.
        classes: (N,) int64.
        shapes: (N, h, w) bool over the network's input at the resolution of its prototypes, or None without masks.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    shapes: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def picked(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        """Some of the boxes."""
        return Detections(
            boxes=self.boxes[index],
            scores=self.scores[index],
            classes=self.classes[index],
            shapes=None if self.shapes is None else self.shapes[index],
        )


def read_head(
    prediction: NDArray[np.float32],
    prototypes: NDArray[np.float32] | None,
    *,
    class_count: int,
    min_score: float,
    max_iou: float,
) -> Detections:
    """Read the output for one picture.

    Args:
        prediction: (N, 6 + m) rows x0 y0 x1 y1 score class (end-to-end heads, already suppressed), or (4 + c + m, N)
            columns centre-x centre-y width height, c class scores; m mask coefficients in both; pixels of the input.
        prototypes: (m, h, w) mask prototypes of a segmentation head, or None.
        class_count: c.
        min_score: Drop boxes below.
        max_iou: Of two boxes of a class that overlap more, the lower one goes (classic heads only).

    Raises:
        WeightsError: The shape fits neither layout.
    """
    masks = 0 if prototypes is None else prototypes.shape[0]
    rows, columns = prediction.shape
    if columns == 6 + masks and rows != 4 + class_count + masks:
        found, coefficients = _end_to_end(prediction, min_score)
    elif rows == 4 + class_count + masks:
        found, coefficients = _classic(prediction, class_count, min_score)
        keep = suppressed(found, max_iou=max_iou)
        found, coefficients = found.picked(keep), coefficients[keep]
    else:
        raise WeightsError(
            f"The network's output of shape {prediction.shape} is no YOLO head for {class_count} classes.",
            advice="Export detection or segmentation weights with ultralytics, with their class names.",
            code="weights-layout",
        )
    if prototypes is None:
        return found
    shapes = np.einsum("nm,mhw->nhw", coefficients, prototypes) > 0
    return Detections(found.boxes, found.scores, found.classes, shapes)


def suppressed(found: Detections, *, max_iou: float, across_classes: bool = False) -> NDArray[np.intp]:
    """Indices that stay after greedy non-maximum suppression, the best first."""
    order = np.argsort(-found.scores, kind="stable")
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        clash = _ious(found.boxes[best], found.boxes[rest]) > max_iou
        if not across_classes:
            clash &= found.classes[rest] == found.classes[best]
        order = rest[~clash]
    return np.array(keep, dtype=np.intp)


def joined(parts: list[Detections]) -> Detections:
    """Several passes as one; shapes are dropped, as their frames differ."""
    return Detections(
        boxes=np.concatenate([part.boxes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
    )


def _end_to_end(prediction: NDArray[np.float32], min_score: float) -> tuple[Detections, NDArray[np.float32]]:
    rows = prediction[prediction[:, 4] >= min_score]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    found = Detections(boxes=rows[:, :4], scores=rows[:, 4], classes=rows[:, 5].astype(np.int64))
    return found, rows[:, 6:]


def _classic(
    prediction: NDArray[np.float32], class_count: int, min_score: float
) -> tuple[Detections, NDArray[np.float32]]:
    scores = prediction[4 : 4 + class_count]
    best = scores.max(axis=0)
    columns = np.flatnonzero(best >= min_score)
    centre_x, centre_y, width, height = prediction[:4, columns]
    boxes = np.stack([centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2], axis=1)
    found = Detections(boxes=boxes, scores=best[columns], classes=scores[:, columns].argmax(axis=0).astype(np.int64))
    return found, prediction[4 + class_count :, columns].T


def _ious(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1)
    area = float(np.clip(box[2:] - box[:2], 0, None).prod())
    ious: NDArray[np.float32] = shared / np.maximum(area + areas - shared, 1e-9)
    return ious
