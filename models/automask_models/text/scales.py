"""At which scales a picture is searched for text, and how large ones are cut into tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.text.lines import TextLine

STRIDE_PX = 32
"""Both sides of a network input are multiples of this."""

COARSE_SIDE_PX = 640
"""Long side of the coarse pass: finds huge glyphs and widely spaced lettering at a fifth of the price."""

MAIN_AREA_PX = 1_200_000
"""Area of the main pass, about that of a training image: what is illegible here is a few latent cells at most."""

DETAIL_AREA_PX = 4 * MAIN_AREA_PX
"""Area of the whole picture in the detail pass, of which only the tiles with small letters are looked at."""

MAX_ENLARGEMENT = 1.5
"""Small pictures are not blown up further: it makes texture look like strokes."""

SMALL_LETTERS_PX = 20.0
"""Letters lower than this in the main pass hint at more that it cannot see."""

TILE_PX = 1024
TILE_OVERLAP_PX = 128

ProbabilityMap = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def scales_of(width_px: int, height_px: int) -> tuple[float, float]:
    """Network pixels per source pixel in the coarse and in the main pass."""
    coarse = min(MAX_ENLARGEMENT, COARSE_SIDE_PX / max(width_px, height_px))
    main = min(MAX_ENLARGEMENT, math.sqrt(MAIN_AREA_PX / (width_px * height_px)))
    return coarse, main


def detail_scale(width_px: int, height_px: int) -> float:
    """Network pixels per source pixel in the detail pass."""
    return min(2.0, math.sqrt(DETAIL_AREA_PX / (width_px * height_px)))


def resized(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The picture at a scale, each side rounded to whole strides, at least one."""
    import cv2

    height_px, width_px = pixels.shape[:2]
    size = tuple(max(1, round(side * scale / STRIDE_PX)) * STRIDE_PX for side in (width_px, height_px))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)


def tiles(width_px: int, height_px: int) -> Iterator[Box]:
    """Overlapping tiles that cover a picture whose sides are whole strides."""
    for y0, y1 in _spans(height_px):
        for x0, x1 in _spans(width_px):
            yield Box(x0, y0, x1, y1)


def tiled_map(
    probability_map: ProbabilityMap, pixels: NDArray[np.uint8], *, where: Sequence[Box] | None = None
) -> NDArray[np.float32]:
    """Run the detector tile by tile and join the maps, so that a line that crosses tiles stays one line.

    Args:
        probability_map: The network.
        pixels: (H, W, 3) uint8 RGB, sides of whole strides.
        where: Look only at tiles that touch one of these boxes; None = at all.

    Returns:
        (H, W) float32, 0..1; 0 where nobody looked.
    """
    height_px, width_px = pixels.shape[:2]
    joined = np.zeros((height_px, width_px), dtype=np.float32)
    for tile in tiles(width_px, height_px):
        if where is not None and not any(tile.intersection(box) for box in where):
            continue
        part = probability_map(pixels[tile.slices])
        joined[tile.slices] = np.maximum(joined[tile.slices], part)
    return joined


def small_lettering(lines: Sequence[TextLine], *, scale: float) -> list[TextLine]:
    """Lines with letters so small at the scale of their pass that others may have gone unseen beside them."""
    return [line for line in lines if line.letters_px * scale < SMALL_LETTERS_PX]


def _spans(side_px: int) -> list[tuple[int, int]]:
    if side_px <= TILE_PX + TILE_PX // 2:
        return [(0, side_px)]
    count = math.ceil((side_px - TILE_OVERLAP_PX) / (TILE_PX - TILE_OVERLAP_PX))
    step = (side_px - TILE_PX) / (count - 1)
    starts = [round(i * step / STRIDE_PX) * STRIDE_PX for i in range(count)]
    return [(start, start + TILE_PX) for start in starts]
