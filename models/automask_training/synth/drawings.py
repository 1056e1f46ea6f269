"""Photographs and paintings redrawn as drawings: outlines on flat colours, hatching, screen tone.

Line art is what lettering is most easily mistaken in, and hardly any of it is free. The lines are those of XDoG
(Winnemoeller et al., "XDoG: An eXtended difference-of-Gaussians compendium", Computers & Graphics 2012).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automask_training.synth.raster import Bytes, blur

_WIDER = 1.6
_HATCH_SHARE = 0.4
_SCREEN_SHARE = 0.25
_GREY_SHARE = 0.3


def redrawn(rng: np.random.Generator, pixels: Bytes) -> Bytes:
    """Return a drawing of a picture (h, w, 3)."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    paper = _flat_colours(rng, pixels, grey)
    cover = _outlines(rng, grey)
    which = rng.random()
    if which < _HATCH_SHARE:
        cover = np.maximum(cover, _hatching(rng, grey))
    elif which < _HATCH_SHARE + _SCREEN_SHARE:
        cover = np.maximum(cover, _screen(rng, grey))
    ink = np.array(rng.integers(0, 60, 3), dtype=np.float32)
    drawn = paper * (1 - cover[..., None]) + ink * cover[..., None]
    return (drawn + 0.5).astype(np.uint8)


def _flat_colours(rng: np.random.Generator, pixels: Bytes, grey: Bytes) -> NDArray[np.float32]:
    """Colours of the drawing, in a few levels, between the picture's own and the paper's."""
    import cv2

    source = np.repeat(grey[..., None], 3, axis=-1) if rng.random() < _GREY_SHARE else pixels
    smooth = cv2.medianBlur(np.ascontiguousarray(source), int(rng.choice([5, 7, 11])))
    levels = int(rng.integers(2, 8))
    table = (np.floor(np.arange(256) / 256 * levels) + 0.5) * (255 / levels)
    flat = table.astype(np.float32)[smooth]
    paper = rng.uniform(200, 255, 3).astype(np.float32)
    share = np.float32(rng.uniform(0.0, 0.85))
    return np.asarray(paper + (flat - paper) * share, dtype=np.float32)


def _outlines(rng: np.random.Generator, grey: Bytes) -> NDArray[np.float32]:
    """Ink of the outlines, 0..1."""
    sigma = rng.uniform(0.7, 2.4)
    narrow, wide = (blur(grey, each).astype(np.float32) for each in (sigma, sigma * _WIDER))
    edge = wide - narrow - np.float32(rng.uniform(0.8, 3.0))
    return np.asarray(np.clip(edge * np.float32(rng.uniform(0.3, 1.2)), 0, 1), dtype=np.float32)


def _hatching(rng: np.random.Generator, grey: Bytes) -> NDArray[np.float32]:
    """Parallel strokes where the picture is dark, crossed where it is darkest, 0..1."""
    height, width = grey.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    light = blur(grey, 4.0)
    step, angle = rng.uniform(4, 12), rng.uniform(0, np.pi)
    ink = np.zeros(grey.shape, dtype=np.float32)
    for turn, level in ((0.0, rng.uniform(70, 130)), (rng.uniform(0.8, 1.9), rng.uniform(30, 80))):
        wobble = np.float32(rng.uniform(0.5, 2.0)) * np.sin((x - y) * np.float32(rng.uniform(0.01, 0.05)))
        across = x * np.float32(np.cos(angle + turn)) + y * np.float32(np.sin(angle + turn)) + wobble
        strokes = np.clip(np.cos(across * np.float32(2 * np.pi / step)) * 3 - 1.2, 0, 1)
        ink = np.maximum(ink, strokes * (light < level))
    return ink


def _screen(rng: np.random.Generator, grey: Bytes) -> NDArray[np.float32]:
    """Dots that grow as the picture darkens, 0..1."""
    height, width = grey.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    step, angle = rng.uniform(3.5, 9), rng.uniform(0, np.pi / 2)
    across = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    down = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    turn = np.float32(2 * np.pi / step)
    dots = (np.cos(across * turn) + np.cos(down * turn)) / 4 + np.float32(0.5)
    light = blur(grey, 3.0).astype(np.float32) / 255
    return np.asarray(np.clip((dots - light - np.float32(rng.uniform(0.0, 0.2))) * 3, 0, 1), dtype=np.float32)
