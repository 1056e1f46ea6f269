"""Whether, and where, an image shows given gradients: a matched filter that brings its own scale of chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.overlay.reduction import Gradients

NEAR_PX = 2
"""A mark at its usual place is found within this distance: rounding of sizes and crops."""
REACH_PX = 20
"""Places this far around the usual one tell how strongly the picture answers by chance."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where the filter answers best.

    Attributes:
        box: Place in the image that was searched, of the kernel's size.
        score: Answer in standard deviations of the answers elsewhere.
        correlation: Normalised correlation at that place, -1..1.
    """

    box: Box
    score: float
    correlation: float


def match_near(gradients: Gradients, kernel: Gradients, box: Box) -> Match:
    """Compare at a known place and a few pixels around it; (2, h, w) image, (2, *box.shape) kernel."""
    padded = np.pad(gradients, ((0, 0), (REACH_PX, REACH_PX), (REACH_PX, REACH_PX)))
    window = padded[:, box.y0 : box.y1 + 2 * REACH_PX, box.x0 : box.x1 + 2 * REACH_PX]
    answers = _answers(window, kernel)
    centre = slice(REACH_PX - NEAR_PX, REACH_PX + NEAR_PX + 1)
    far = np.ones(answers.shape, dtype=np.bool_)
    far[REACH_PX - 6 : REACH_PX + 7, REACH_PX - 6 : REACH_PX + 7] = False
    near = answers[centre, centre]
    dy, dx = np.unravel_index(int(np.argmax(near)), near.shape)
    y0, x0 = box.y0 + int(dy) - NEAR_PX, box.x0 + int(dx) - NEAR_PX
    at = window[:, REACH_PX + y0 - box.y0 :, REACH_PX + x0 - box.x0 :][:, : box.height_px, : box.width_px]
    return Match(
        box=Box(x0, y0, x0 + box.width_px, y0 + box.height_px),
        score=_score(float(near.max()), answers[far]),
        correlation=_correlation(at, kernel),
    )


def match_anywhere(gradients: Gradients, kernel: Gradients) -> Match | None:
    """Look all over an image; None where the kernel does not fit into it."""
    if any(have < need for have, need in zip(gradients.shape[1:], kernel.shape[1:], strict=True)):
        return None
    answers = _answers(gradients, kernel)
    y0, x0 = (int(i) for i in np.unravel_index(int(np.argmax(answers)), answers.shape))
    box = Box(x0, y0, x0 + kernel.shape[2], y0 + kernel.shape[1])
    at = gradients[:, box.y0 : box.y1, box.x0 : box.x1]
    return Match(box=box, score=_score(float(answers[y0, x0]), answers), correlation=_correlation(at, kernel))


def _answers(gradients: Gradients, kernel: Gradients) -> NDArray[np.float32]:
    import cv2

    answers: NDArray[np.float32] = cv2.matchTemplate(
        np.ascontiguousarray(gradients.transpose(1, 2, 0)),
        np.ascontiguousarray(kernel.transpose(1, 2, 0)),
        cv2.TM_CCORR,
    )
    return answers


def _score(peak: float, chance: NDArray[np.float32]) -> float:
    spread = float(np.sqrt(np.mean(chance.astype(np.float64) ** 2)))
    return peak / spread if spread > 0 else 0.0


def _correlation(at: Gradients, kernel: Gradients) -> float:
    norm = float(np.linalg.norm(at) * np.linalg.norm(kernel))
    return float((at * kernel).sum()) / norm if norm > 0 else 0.0
