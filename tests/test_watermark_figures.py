"""Figures of the detector of marks: matching, touching, what counts neither way, and the curve. No torch."""

from __future__ import annotations

import numpy as np
import pytest

from automask_training.evaluate_watermark import (
    SCORES,
    Found,
    average_precision,
    box_iou,
    evaluate_detector,
    figures_of,
    without_ignored,
)
from automask_training.watermark_truth import CLASSES, Truth


def truth(*boxes: tuple[float, ...], kind: int = 0, ignored: tuple[tuple[float, ...], ...] = ()) -> Truth:
    return Truth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), kind, np.int64),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def found(*rows: tuple[float, ...]) -> Found:
    values = np.array(rows, np.float32).reshape(-1, 6)
    return Found(values[:, :4], values[:, 4], values[:, 5].astype(np.int64))


def test_average_precision_of_known_rankings() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert average_precision(scores, np.array([True, True, False, False]), 2) == pytest.approx(1.0)
    assert average_precision(scores, np.array([False, True, False, True]), 2) == pytest.approx(0.5)
    assert average_precision(scores, np.array([True, False, False, False]), 4) == pytest.approx(0.25)


def test_box_iou() -> None:
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert box_iou(others[0], others) == pytest.approx([1, 1 / 3, 0])


def test_a_perfect_detector_has_every_figure() -> None:
    truths = [truth((10, 10, 50, 30), kind=4), truth()]
    figures = figures_of(truths, [found((10, 10, 50, 30, 0.9, 4)), found()])
    assert (figures.images, figures.empty_images, figures.marks) == (2, 1, 1)
    assert figures.marks_by_class[CLASSES.index("code")] == 1
    assert figures.average_precision == figures.average_precision_by_class[4] == figures.right_class == 1
    assert all(point.recall == point.touched == 1 and point.false_an_image == 0 for point in figures.curve)


def test_the_curve_tells_hits_touches_and_false_boxes_apart() -> None:
    rows = (
        (12, 10, 50, 30, 0.55, 0),  # fits
        (100, 100, 120, 110, 0.75, 0),  # a piece of the second mark: touches
        (200, 10, 220, 30, 0.45, 0),  # nothing there
    )
    truths = [truth((10, 10, 50, 30), (90, 90, 190, 190)), truth()]
    figures = figures_of(truths, [found(*rows), found((0, 0, 9, 9, 0.3, 1))])
    at = {point.score: point for point in figures.curve}
    assert set(at) == set(SCORES)
    assert (at[0.7].recall, at[0.7].touched, at[0.7].false_an_image) == (0, 0.5, 0)
    assert (at[0.5].recall, at[0.5].touched, at[0.5].false_an_image) == (0.5, 1, 0)
    assert (at[0.4].false_an_image, at[0.4].false_an_empty_image) == (0.5, 0)
    assert (at[0.3].false_an_image, at[0.3].false_an_empty_image) == (1, 1)
    assert (at[0.8].touched, at[0.8].touched_by_class[0]) == (0, 0)


def test_a_box_as_large_as_the_picture_touches_no_small_mark() -> None:
    figures = figures_of([truth((10, 10, 50, 30))], [found((0, 0, 384, 384, 0.9, 0))])
    assert (figures.curve[0].touched, figures.curve[0].false_an_image) == (0, 1)


def test_one_mark_is_found_once() -> None:
    figures = figures_of([truth((0, 0, 20, 20))], [found((0, 0, 20, 20, 0.9, 0), (0, 0, 20, 19, 0.8, 0))])
    assert figures.curve[0].recall == 1
    assert figures.average_precision == 1


def test_boxes_on_what_counts_neither_way_are_left_out() -> None:
    marked = truth((0, 0, 20, 20), ignored=((50, 50, 90, 90),))
    kept = without_ignored(found((0, 0, 20, 20, 0.9, 0), (52, 52, 80, 80, 0.8, 0), (200, 0, 220, 9, 0.7, 0)), marked)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7])


def test_pictures_are_looked_at_in_batches_and_empty_rows_are_no_boxes() -> None:
    sizes: list[int] = []

    def detect(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        rows = np.zeros((len(pixels), 3, 6), np.float32)
        rows[:, 0] = (0, 0, 20, 20, 0.9, 0)
        return rows

    samples = [(np.zeros((32, 32, 3), np.uint8), truth((0, 0, 20, 20))) for _ in range(11)]
    figures = evaluate_detector(detect, samples)
    assert sizes == [8, 3]
    assert figures.curve[0].recall == 1
    assert figures.curve[0].false_an_image == 0
