"""Lettered plates that lie over a picture or in a frame: title plates, text boxes, captions with a margin around them.

A plate is a smooth rectangle with letters in it. Smooth things in pictures have other outlines, and rectangles in
pictures (doors, screens, paper) rarely stand level, in the middle, and full of letters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.lettering import ENOUGH, IN_ROWS, MIN_LETTER_PX, letters_in

WORK_PX = 720
"""Longest side of the copy that is searched: letters of a rule text are then still several pixels high."""
SMOOTH_LEVELS = 8
"""Step between pixels next to each other up to which a ground is smooth; shading and paper stay below."""
MIN_WIDTH = 0.35
MIN_HEIGHT = 0.025
MAX_HEIGHT = 0.5
"""Size of a plate as a share of the image."""
OFF_CENTRE = (0.06, 0.03)
"""Distance of a plate's middle from the image's, as a share of the width."""
MIN_GROUND = 0.3
"""Share of a plate that is ground between its letters."""
OUTLINE_PX = 3
FILLED = (0.75, 0.87)
"""Share of a plate's worst side along which the ground reaches it; skies and walls have irregular outlines."""
INK_LEVELS = 48
"""Levels between a letter and its ground; clouds stay below."""
INK = (0.02, 0.05)
MOST_INK = (0.5, 0.4)
"""Share of a plate that is letters."""
LETTER_HEIGHT = 0.75
"""Largest height of a letter as a share of the plate's."""
SAME_HEIGHT = (0.35, 0.6)
"""Share of the letters about as high as the middle one of them: text is written in one size, things are not."""
SURE = 0.6
IN_LINE = 0.02
"""How far the ends of two plates may be apart, as a share of their width."""
MOST_TILT_DEGREES = 2.0
RIM_PX = 2
"""How far a plate is drawn over its outline: its last pixels are mixed with what is beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A plate and the evidence for it.

    Attributes:
        box: Its surrounding box.
        artefact: Bool mask within the box.
        filled: Share of its worst side that its ground reaches, 0..1.
        ink: Share of it that is letters, 0..1.
        letters: How many there are.
        confidence: 0..1.
    """

    box: Box
    artefact: NDArray[np.bool_]
    filled: float
    ink: float
    letters: int
    confidence: float


def find_plates(pixels: NDArray[np.uint8], *, inside: Box, at_least: float) -> list[Plate]:
    """Plates within a box of an (H, W, 3) uint8 image.

    Args:
        pixels: The image.
        inside: What plain borders leave.
        at_least: Confidence below which a plate is left out.
    """
    import cv2

    scale = min(1.0, WORK_PX / max(inside.width_px, inside.height_px))
    size = max(1, round(inside.width_px * scale)), max(1, round(inside.height_px * scale))
    if min(size) < 96:
        return []
    small = cv2.resize(pixels[inside.slices], size, interpolation=cv2.INTER_AREA)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(_smooth(small).view(np.uint8), connectivity=4)
    x, _, width, height, area = stats.T.astype(np.int64)
    fits = (width >= MIN_WIDTH * size[0]) & (height >= MIN_HEIGHT * size[1]) & (height <= MAX_HEIGHT * size[1])
    fits &= (area >= MIN_GROUND * width * height) & (np.abs(2 * x + width - size[0]) <= 2 * OFF_CENTRE[0] * size[0])
    fits[0] = False  # what is not smooth
    plates = []
    for label in np.flatnonzero(fits):
        found = _measure(small, labels == label)
        if found is not None and found.confidence >= at_least:
            plates.append(_at_full_size(found, pixels.shape[:2], inside, scale))
    return plates


def in_line(plates: Sequence[Plate]) -> bool:
    """Whether two certain plates have the same left and right ends, as on a card whose border was not found."""
    sure = [plate.box for plate in plates if plate.confidence >= SURE]
    return any(
        max(abs(one.x0 - two.x0), abs(one.x1 - two.x1)) <= IN_LINE * max(one.width_px, two.width_px)
        for one, two in combinations(sure, 2)
    )


def _smooth(small: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of a (h, w, 3) image that hardly differ from those next to them, bool (h, w)."""
    wide = small.astype(np.int16)
    smooth = np.ones(small.shape[:2], dtype=np.bool_)
    smooth[:, 1:] &= largest_channel(np.abs(wide[:, 1:] - wide[:, :-1])) <= SMOOTH_LEVELS
    smooth[1:] &= largest_channel(np.abs(wide[1:] - wide[:-1])) <= SMOOTH_LEVELS
    return smooth


@dataclass(frozen=True, slots=True, eq=False)
class _Rectangle:
    """A plate in the copy: its corners (4, 2) float32 and the evidence, as in `Plate`."""

    corners: NDArray[np.float32]
    filled: float
    ink: float
    letters: int
    confidence: float


def _measure(small: NDArray[np.uint8], part: NDArray[np.bool_]) -> _Rectangle | None:
    """The rectangle around a smooth part (h, w) of a (h, w, 3) image, or None where it is askew or without letters."""
    import cv2

    points = np.argwhere(part)[:, ::-1].astype(np.float32)
    centre, extent, angle = cv2.minAreaRect(points)
    if abs(angle) > 45:  # the same rectangle, told from its other side
        extent, angle = extent[::-1], angle - math.copysign(90, angle)
    if abs(angle) > MOST_TILT_DEGREES:
        return None
    width, height = round(extent[0]) + 1, round(extent[1]) + 1
    turn = cv2.getRotationMatrix2D(centre, angle, 1.0)
    turn[:, 2] += np.array([(width - 1) / 2 - centre[0], (height - 1) / 2 - centre[1]])
    ground = cv2.warpAffine(part.view(np.uint8), turn, (width, height), flags=cv2.INTER_NEAREST).astype(np.bool_)
    level = cv2.warpAffine(small, turn, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.int16)
    if height < 2 * OUTLINE_PX + 6:
        return None
    outline = [
        ground[:OUTLINE_PX].any(axis=0).mean(),
        ground[-OUTLINE_PX:].any(axis=0).mean(),
        ground[:, :OUTLINE_PX].any(axis=1).mean(),
        ground[:, -OUTLINE_PX:].any(axis=1).mean(),
    ]
    filled = float(min(outline))
    colours = np.stack(
        [
            np.median(row[is_ground], axis=0) if is_ground.mean() > 0.1 else np.full(3, -999)
            for row, is_ground in zip(level, ground, strict=True)
        ]
    )
    far = largest_channel(np.abs(level - colours[:, None]))
    is_ink = ((far >= INK_LEVELS) & ~ground)[OUTLINE_PX:-OUTLINE_PX, OUTLINE_PX:-OUTLINE_PX]
    ink = float(is_ink.mean())
    letters = letters_in(is_ink, low_px=MIN_LETTER_PX, high_px=LETTER_HEIGHT * height)
    if not letters.count:
        return None
    confidence = (
        ramp(filled, *FILLED)
        * ramp(ink, *INK)
        * ramp(ink, *MOST_INK)
        * ramp(float(letters.count), *ENOUGH)
        * ramp(letters.alike, *SAME_HEIGHT)
        * ramp(letters.in_rows, *IN_ROWS)
        * ramp(abs(2 * centre[0] - part.shape[1]) / 2 / part.shape[1], *OFF_CENTRE)
    )
    corners = cv2.boxPoints((centre, extent, angle)).astype(np.float32)
    return _Rectangle(corners, filled, ink, letters.count, confidence)


def _at_full_size(found: _Rectangle, shape: tuple[int, ...], inside: Box, scale: float) -> Plate:
    import cv2

    points = (found.corners + 0.5) / scale + np.array([inside.x0, inside.y0], dtype=np.float32)
    points = points + np.sign(points - points.mean(axis=0)) * (RIM_PX + 0.5 / scale)
    mask = np.zeros(shape[:2], dtype=np.uint8)
    cv2.fillConvexPoly(mask, np.rint(points).astype(np.int32), 1)
    box = Box.of_artefact(mask.astype(np.bool_)) or inside
    artefact = np.ascontiguousarray(mask[box.slices]).astype(np.bool_)
    return Plate(box, artefact, found.filled, found.ink, found.letters, found.confidence)
