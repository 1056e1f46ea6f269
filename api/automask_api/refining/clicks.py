"""What a click on the review page means, for the page and for what measures it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask.protocols import PromptAnswer, PromptSession


def thing_to_add(session: PromptSession, point: tuple[int, int]) -> PromptAnswer:
    """The thing at a pixel that is to be masked.

    Args:
        session: Knows the image.
        point: x and y.
    """
    return session.answer(points=[(point[0] + 0.5, point[1] + 0.5)], wanted=[True])


def masked_thing(masked: NDArray[np.bool_], point: tuple[int, int], *, near_px: int) -> NDArray[np.bool_]:
    """The connected masked pixels at a pixel, or, since masks are shown grown, at the nearest one so far away.

    Args:
        masked: (H, W) bool, before growth.
        point: x and y.
        near_px: How far away it may be.
    """
    import cv2

    x, y = point
    _, labels = cv2.connectedComponents(masked.view(np.uint8), connectivity=4)
    top, left = max(0, y - near_px), max(0, x - near_px)
    rows, columns = np.nonzero(labels[top : y + near_px + 1, left : x + near_px + 1])
    if not len(rows):
        return np.zeros_like(masked)
    nearest = int(np.argmin((rows + top - y) ** 2 + (columns + left - x) ** 2))
    return np.asarray(labels == labels[rows[nearest] + top, columns[nearest] + left], dtype=np.bool_)
