"""Artefacts as polygons and boxes, for annotation formats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box

Outline = list[tuple[float, float]]
"""Vertices (x, y) in upright pixels, pixel edges at whole numbers."""

_FINENESS = 4
_TOLERANCE_PX = 0.3


def outlines(artefact: NDArray[np.bool_]) -> list[Outline]:
    """Outer contours of the connected parts of an (H, W) array, largest first; holes are not kept.

    The contour runs along pixel edges to a quarter of a pixel: tracing is done on an enlarged array, since OpenCV
    traces through pixel centres, which would take half a pixel off every side and leave nothing of a thin line.
    """
    import cv2

    box = Box.of_artefact(artefact)
    if box is None:
        return []
    fine = np.kron(artefact[box.slices].astype(np.uint8), np.ones((_FINENESS, _FINENESS), dtype=np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[float, Outline]] = []
    for contour in contours:
        shape = cv2.approxPolyDP(contour, _TOLERANCE_PX * _FINENESS, closed=True).reshape(-1, 2)
        if len(shape) < 3:
            shape = contour.reshape(-1, 2)
        if len(shape) < 3:
            continue
        points = (shape.astype(np.float64) + 0.5) / _FINENESS + (box.x0, box.y0)
        found.append((float(cv2.contourArea(contour)), [(float(x), float(y)) for x, y in points]))
    found.sort(key=lambda item: -item[0])
    return [outline for _, outline in found]


def coco_box(artefact: NDArray[np.bool_]) -> list[float]:
    """COCO's [x, y, width, height] around the True pixels of an array that has some."""
    box = Box.of_artefact(artefact)
    if box is None:
        raise ValueError("an empty artefact has no box")
    return [float(box.x0), float(box.y0), float(box.width_px), float(box.height_px)]
