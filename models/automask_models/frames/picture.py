"""Whether what lies inside a frame is a picture at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask_models.frames.evidence import ramp

MIN_STEP = 3
"""Levels between neighbouring pixels that count as detail: less is what an encoder leaves in a flat area."""
SAMPLES = 200_000
"""Pixels looked at; the share of detail is known to a tenth of a percent."""
COLOUR_SAMPLES = 40_000
"""Pixels whose colours are counted."""
FLAT_SHARE = (0.45, 0.25)
"""Share of four colours in drawings and in smooth pictures: most clip art has over .7, blurred pictures below .1."""
FLAT_DETAIL = 0.16
PICTURE_DETAIL = 0.26
"""Share of detail in drawings of flat shapes and in pictures: anime begins at .25, most clip art ends at .17."""


def detail_of(pixels: NDArray[np.uint8]) -> float:
    """Share of the pixels of an (H, W, 3) uint8 picture that differ from their neighbours, 0..1."""
    height_px, width_px = pixels.shape[:2]
    if height_px < 2 or width_px < 2:
        return 0.0
    every = max(1, round(height_px * width_px / SAMPLES))
    rows = np.arange(0, height_px - 1, every)
    grey = pixels[..., 1].astype(np.int16)
    steps = np.abs(grey[rows, 1:] - grey[rows, :-1]) + np.abs(grey[rows + 1, :-1] - grey[rows, :-1])
    return float((steps >= MIN_STEP).mean())


def flat_of(pixels: NDArray[np.uint8]) -> float:
    """Share of the pixels of an (H, W, 3) uint8 picture that have its four commonest colours, 0..1."""
    height_px, width_px = pixels.shape[:2]
    every = max(1, round((height_px * width_px / COLOUR_SAMPLES) ** 0.5))
    # Steps of two levels: an encoder leaves a flat area in a few neighbouring colours.
    steps = pixels[::every, ::every].reshape(-1, 3).astype(np.int32) >> 1
    _, counts = np.unique(steps[:, 0] << 14 | steps[:, 1] << 7 | steps[:, 2], return_counts=True)
    return float(np.sort(counts)[-4:].sum() / len(steps))


def certainly_picture(pixels: NDArray[np.uint8]) -> float:
    """How certain it is that an (H, W, 3) uint8 image is no drawing on a page, 0..1.

    Smooth pictures, such as skies, nights and things out of focus, have little detail, but many colours.
    """
    by_detail = pictorial(detail_of(pixels))
    return by_detail if by_detail == 1.0 else max(by_detail, ramp(flat_of(pixels), *FLAT_SHARE))


def pictorial(detail: float) -> float:
    """How certain it is that something with this share of detail is a picture and not a drawing on a page, 0..1.

    A page margin looks like a mat, and a sign or a logo on it like a picture with straight edges. A person who trains
    on clip art wants the shapes as they stand on the page.
    """
    return ramp(detail, FLAT_DETAIL, PICTURE_DETAIL)
