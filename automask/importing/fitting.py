"""Masks of somebody's files in the size and orientation of the upright image."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from automask.importing.found import Outlines, Shape
from automask.importing.shapes import other_shape, same_ratio

_ON_ITS_SIDE = 5
"""EXIF orientations from here on swap width and height."""

Scalar = TypeVar("Scalar", np.uint8, np.bool_)


def fitted_levels(levels: NDArray[np.uint8], shape: Shape, *, orientation: int, as_stored: bool) -> NDArray[np.uint8]:
    """A finished mask in the size of the upright image.

    Args:
        levels: (H, W) uint8 as it lies in its file.
        shape: (height, width) of the upright image.
        orientation: EXIF orientation 1..8 of the image file.
        as_stored: Masks are known to lie as the pixels in the image file do. Where not, only a mask that fits no
            other way is taken for one on its side.

    Raises:
        ValueError: It has another shape.
    """
    own = (levels.shape[0], levels.shape[1])
    stored_shape = shape[::-1] if orientation >= _ON_ITS_SIDE else shape
    if (as_stored or not same_ratio(own, shape)) and same_ratio(own, stored_shape):
        levels = upright(levels, orientation) if as_stored or orientation >= _ON_ITS_SIDE else levels
    elif not same_ratio(own, shape):
        raise ValueError(other_shape(own, shape))
    if levels.shape != shape:
        levels = np.asarray(PillowImage.fromarray(levels).resize(shape[::-1], PillowImage.Resampling.BILINEAR))
    return levels


def fitted_outlines(given: Outlines, shape: Shape, *, orientation: int) -> Outlines:
    """Outlines on the upright image.

    Raises:
        ValueError: They were drawn on a picture on its side, and the image is not stored like that.
    """
    if all(drawn.shape == shape for drawn in given.by_kind.values()):
        return given
    if orientation < _ON_ITS_SIDE:
        raise ValueError(other_shape(given.own_shape, shape))
    by_kind = {kind: upright(drawn, orientation) for kind, drawn in given.by_kind.items()}
    return Outlines(by_kind, given.own_shape, given.notes)


def upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Apply an EXIF orientation 1..8: what `automask.export.drawing.as_stored` undoes."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels.T if orientation >= _ON_ITS_SIDE else pixels)
