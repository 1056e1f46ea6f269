"""How good a detector of marks is on held-out pictures: its whole curve of recall over false boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from automask_training.watermark_truth import CLASSES, Truth

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from automask_training.loop import Task

_MATCH_IOU = 0.5
_TOUCHED_IOU = 0.1
_WITHIN_SHARE = 0.5
_IGNORED_SHARE = 0.5
SCORES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
_BATCH_IMAGES = 8


@dataclass(frozen=True)
class CurvePoint:
    """Figures of the boxes from one score on.

    Attributes:
        score: The least score.
        recall: Share of marks that have a box of IoU .5 of their own.
        touched: Share of marks that some box overlaps by IoU .1, or lies in by half.
        touched_by_class: The same for each of `watermark_truth.CLASSES`; NaN where there are none.
        false_an_image: Boxes that touch no mark, a picture.
        false_an_empty_image: The same on pictures without marks.
    """

    score: float
    recall: float
    touched: float
    touched_by_class: tuple[float, ...]
    false_an_image: float
    false_an_empty_image: float


@dataclass(frozen=True)
class DetectorFigures:
    """Figures at IoU .5, any class matching any, unless said.

    Attributes:
        average_precision: Area under precision over recall.
        average_precision_by_class: The same with classes kept apart; NaN where none occurred.
        right_class: Share of the marks found from a score of .3 on whose class is right.
        curve: One point for each of `SCORES`.
        images: How many images.
        empty_images: How many of them have no mark.
        marks: How many marks on them.
        marks_by_class: The same for each of `watermark_truth.CLASSES`.
    """

    average_precision: float
    average_precision_by_class: tuple[float, ...]
    right_class: float
    curve: tuple[CurvePoint, ...]
    images: int
    empty_images: int
    marks: int
    marks_by_class: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """Detections on one image: boxes (N, 4) float32 xyxy px, scores (N,), classes (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def picked(self, which: NDArray[np.bool_]) -> Found:
        """Some of them."""
        return Found(self.boxes[which], self.scores[which], self.classes[which])


def evaluate_task(module: nn.Module, task: Task[Any, Any], *, images: int) -> DetectorFigures:
    """Figures of a detector, ours or ultralytics', on samples of its task, which should be of a held-out split."""
    import torch

    module.eval()
    if task.name == "watermark":
        from automask_training.watermark import WatermarkTask
        from automask_training.watermark_model import Detector

        if not isinstance(task, WatermarkTask):
            raise TypeError(f"task is {type(task).__name__}")
        detector: Any = Detector(module).eval()  # type: ignore[arg-type, unused-ignore]
        samples = ((each.content, each.truth) for each in map(task.source.get, range(images)))
    else:
        from automask_training.ultralytics_boundary import detections

        def detector(pixels: Tensor) -> Tensor:
            return detections(module, pixels, one_to_one=True)

        samples = ((each.pixels, each.truth) for each in map(task.sample, range(images)))

    def detect(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 255
        with torch.inference_mode():
            rows: NDArray[np.float32] = detector(batch).numpy()
        return rows

    return evaluate_detector(detect, samples)


def evaluate_detector(
    detect: Callable[[NDArray[np.uint8]], NDArray[np.float32]], samples: Iterable[tuple[NDArray[Any], Truth]]
) -> DetectorFigures:
    """Figures of `detect`, pictures (B, S, S, 3) uint8 to rows (B, N, 6) of xyxy px, score, class, on some samples."""
    truths: list[Truth] = []
    found: list[Found] = []
    left = iter(samples)
    while batch := list(islice(left, _BATCH_IMAGES)):
        rows = detect(np.stack([pixels for pixels, _ in batch]))
        truths += [truth for _, truth in batch]
        found += [Found(r[:, :4], r[:, 4], r[:, 5].astype(np.int64)) for r in (one[one[:, 4] > 0] for one in rows)]
    found = [without_ignored(each, truth) for each, truth in zip(found, truths, strict=True)]
    return figures_of(truths, found)


def figures_of(truths: Sequence[Truth], found: Sequence[Found]) -> DetectorFigures:
    """Figures of detections whose ignored ones have been left out."""
    marks = sum(len(t.boxes) for t in truths)
    scores, hits = matched(truths, found)
    classes = np.concatenate([t.classes for t in truths]) if truths else np.zeros(0, np.int64)
    return DetectorFigures(
        average_precision=average_precision(scores, hits, marks),
        average_precision_by_class=tuple(_of_class(truths, found, index) for index in range(len(CLASSES))),
        right_class=_right_class(truths, found),
        curve=tuple(_point(truths, found, score, hits=int(hits[scores >= score].sum())) for score in SCORES),
        images=len(truths),
        empty_images=sum(not len(t.boxes) for t in truths),
        marks=marks,
        marks_by_class=tuple(int((classes == index).sum()) for index in range(len(CLASSES))),
    )


def _point(truths: Sequence[Truth], found: Sequence[Found], score: float, *, hits: int) -> CurvePoint:
    touched: list[NDArray[np.bool_]] = []
    false = []
    for truth, detected in zip(truths, found, strict=True):
        boxes = detected.boxes[detected.scores >= score]
        touching = _touching(boxes, truth.boxes)
        touched.append(np.asarray(touching.any(axis=0)))
        false.append(int((~touching.any(axis=1)).sum()))
    seen = np.concatenate(touched)
    classes = np.concatenate([t.classes for t in truths])
    empty = [count for count, truth in zip(false, truths, strict=True) if not len(truth.boxes)]
    return CurvePoint(
        score=score,
        recall=hits / max(1, len(seen)),
        touched=_share(seen),
        touched_by_class=tuple(_share(seen[classes == index]) for index in range(len(CLASSES))),
        false_an_image=float(np.mean(false)),
        false_an_empty_image=float(np.mean(empty)) if empty else float("nan"),
    )


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _touching(boxes: NDArray[np.float32], marks: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, M): which boxes touch which marks."""
    iou, within = overlaps(boxes, marks)
    touching: NDArray[np.bool_] = (iou >= _TOUCHED_IOU) | (within >= _WITHIN_SHARE)
    return touching


def overlaps(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """IoU of boxes (N, 4) xyxy with others (M, 4), and the share of each box that lies in each other: (N, M) both."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    own, theirs = ((each[:, 2:] - each[:, :2]).clip(min=0).prod(axis=1) for each in (boxes, others))
    union = np.maximum(own[:, None] + theirs[None] - shared, 1e-6)
    return shared / union, shared / np.maximum(own[:, None], 1e-6)


def without_ignored(detected: Found, truth: Truth) -> Found:
    """Without the boxes that lie in what counts neither way and touch no mark."""
    if not len(truth.ignored):
        return detected
    _, within = overlaps(detected.boxes, truth.ignored)
    out = (within >= _IGNORED_SHARE).any(axis=1) & ~_touching(detected.boxes, truth.boxes).any(axis=1)
    return detected.picked(np.asarray(~out))


def matched(truths: Sequence[Truth], found: Sequence[Found]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
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


def _right_class(truths: Sequence[Truth], found: Sequence[Found], score: float = 0.3) -> float:
    right = []
    for truth, detected in zip(truths, found, strict=True):
        sure = detected.picked(detected.scores >= score)
        iou, _ = overlaps(sure.boxes, truth.boxes)
        for mark in range(len(truth.boxes)):
            if len(iou) and iou[:, mark].max() >= _MATCH_IOU:
                right.append(bool(sure.classes[iou[:, mark].argmax()] == truth.classes[mark]))
    return float(np.mean(right)) if right else float("nan")


def box_iou(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """IoU (N,) of box (4,) with others (N, 4), xyxy."""
    iou: NDArray[np.float32] = overlaps(box[None], others)[0][0]
    return iou


def average_precision(scores: NDArray[np.float32], hits: NDArray[np.bool_], marks: int) -> float:
    """Area under the precision envelope over recall; NaN without marks."""
    if not marks:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(hits[order])
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits[order]).sum() / marks)


def _of_class(truths: Sequence[Truth], found: Sequence[Found], index: int) -> float:
    only = [Truth(t.boxes[t.classes == index], t.classes[t.classes == index], t.ignored) for t in truths]
    those = [each.picked(each.classes == index) for each in found]
    return average_precision(*matched(only, those), sum(len(t.boxes) for t in only))
