"""Translucent strips: captions on a veil through which the picture shows.

Behind a veil every pixel is the same mixture of the picture and one colour. Across the veil's edge the picture goes on,
so what lies just inside follows what lies just outside, with less contrast, all along one pixel row. In a picture,
neighbouring rows either follow each other with the same contrast or do not follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.lettering import ENOUGH, Letters, letters_in
from automask_models.frames.sides import Side, oriented_pixels

POSITIONS = 768
DEEPEST = 0.34
"""Largest depth of a veil, as a share of the image across it."""
MIN_DEPTH_PX = 12
GAP_PX = 1
"""Rows beside the edge that are a mixture of both sides."""
FOLLOWS = (0.6, 0.8)
"""Correlation across the edge."""
CONTRAST_LEFT = (0.72, 0.6)
"""Contrast inside as a share of that outside: what is left of the picture."""
PARTS = 6
"""Parts of a side in most of which the same mixture must hold."""
UNEXPLAINED = 0.85
"""Share of a part's contrast inside that the mixture may leave unexplained."""
LEAST_UNEXPLAINED = 4.0
"""The same in levels, which noise alone leaves."""
LEAST_CONTRAST = 5.0
"""Levels of contrast (standard deviation) outside, below which there is nothing that could show through."""
ADDED = (4.0, 10.0)
"""Levels by which the mixture changes the picture: a shadow's edge changes it by a factor alone."""
INK_LEVELS = 40
BLUR_PX = 25
LETTER_HEIGHT = (0.12, 0.85)
"""Height of a letter as a share of the veil's."""
SAME_HEIGHT = (0.4, 0.6)
DRAWN_DEPTH = 0.14
"""Deeper veils, as a share of the image across them, are only proposed: pages have such edges by design."""
WITHOUT_LETTERS = 0.25
"""What the confidence is multiplied with where nothing is written: not even proposed."""


@dataclass(frozen=True, slots=True)
class Veil:
    """A translucent strip along one side.

    Attributes:
        side: Where it lies: top or bottom.
        box: Its pixels.
        follows: Correlation of what is just inside with what is just outside, 0..1.
        contrast_left: Share of the picture's contrast that is left, 0..1.
        letters: How many letters are written on it.
        confidence: 0..1.
        proposed: Whether it is too deep to be drawn unasked.
    """

    side: Side
    box: Box
    follows: float
    contrast_left: float
    letters: int
    confidence: float
    proposed: bool


def find_veils(pixels: NDArray[np.uint8], *, inside: Box, at_least: float) -> list[Veil]:
    """Veils at the top and at the bottom of a box in an (H, W, 3) uint8 image.

    Args:
        pixels: The image.
        inside: What other frames leave.
        at_least: Confidence below which a veil is left out.
    """
    veils = [_veil_at(pixels, side, inside) for side in (Side.BOTTOM, Side.TOP)]
    return [veil for veil in veils if veil is not None and veil.confidence >= at_least]


def _veil_at(pixels: NDArray[np.uint8], side: Side, inside: Box) -> Veil | None:
    oriented = oriented_pixels(pixels[inside.slices], side)
    length_px, extent_px = oriented.shape[:2]
    deepest = min(round(DEEPEST * pixels.shape[0]), extent_px // 2)
    if length_px < 96 or deepest < MIN_DEPTH_PX + 8:
        return None
    positions = np.linspace(1, length_px - 2, min(POSITIONS, length_px - 2)).astype(np.int64)
    view = oriented[positions, :deepest].astype(np.float32)
    pair = (view[:, 1:] + view[:, :-1]) / 2
    depths = np.arange(MIN_DEPTH_PX, deepest - GAP_PX - 2)
    rest = pair - pair.mean(axis=0)
    power = (rest**2).mean(axis=(0, 2))
    # A veil and what lies beyond it, at the same positions on either side of each depth.
    on_veil, beyond = (
        slice(first, first + depths.size) for first in (MIN_DEPTH_PX - GAP_PX - 2, MIN_DEPTH_PX + GAP_PX)
    )
    inner, outer, inner_rest, outer_rest = pair[:, on_veil], pair[:, beyond], rest[:, on_veil], rest[:, beyond]
    inner_power, outer_power = power[on_veil], power[beyond]
    both = (inner_rest * outer_rest).mean(axis=(0, 2))
    follows = both / np.sqrt(np.maximum(inner_power * outer_power, 1e-6))
    contrast_left = np.sqrt(inner_power / np.maximum(outer_power, 1e-6))
    score = np.where(outer_power >= LEAST_CONTRAST**2, follows * np.clip(1 - contrast_left, 0, 1), 0.0)
    at = int(score.argmax())
    kept = float(contrast_left[at])
    if follows[at] < FOLLOWS[0] or kept > CONTRAST_LEFT[0] or kept <= 0.05:
        return None
    # A shadow or a dark glass leaves a share of everything; a veil adds its colour, and so does fog, but not on a line.
    mean_change = inner[:, at].mean(axis=0) - outer[:, at].mean(axis=0)
    residual = inner_rest[:, at] - kept * follows[at] * outer_rest[:, at]
    most = max(LEAST_UNEXPLAINED, UNEXPLAINED * float(np.sqrt(inner_power[at])))
    parts = [float(np.sqrt((rest**2).mean())) <= most for rest in np.array_split(residual, PARTS)]
    depth_px = int(depths[at])
    box = replace(inside, y1=inside.y0 + depth_px) if side is Side.TOP else replace(inside, y0=inside.y1 - depth_px)
    letters = _letters(pixels[box.slices])
    confidence = (
        ramp(float(follows[at]), *FOLLOWS)
        * ramp(kept, *CONTRAST_LEFT)
        * ramp(float(np.abs(mean_change).max()), *ADDED)
        * ramp(float(np.mean(parts)), 0.6, 0.8)
        * max(WITHOUT_LETTERS, ramp(float(letters.count), *ENOUGH) * ramp(letters.alike, *SAME_HEIGHT))
    )
    proposed = depth_px > DRAWN_DEPTH * pixels.shape[0]
    return Veil(side, box, float(follows[at]), kept, letters.count, confidence, proposed)


def _letters(part: NDArray[np.uint8]) -> Letters:
    """What stands on a (h, w, 3) veil."""
    import cv2

    height = part.shape[0]
    ground = cv2.medianBlur(part, BLUR_PX)
    ink = largest_channel(np.abs(part.astype(np.int16) - ground)) >= INK_LEVELS
    return letters_in(ink, low_px=LETTER_HEIGHT[0] * height, high_px=LETTER_HEIGHT[1] * height)
