"""The art window of a card: a rectangle of straight edges amid a drawn frame.

A photograph has straight edges too. A card has four that meet at the corners of one rectangle, as far from the left as
from the right, and what lies around them is its own mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.picture import detail_of, pictorial

WORK_PX = 448
"""Longest side of the copy that is searched: a rim of three pixels in a scan is still an edge."""
MIN_STEP = 10
"""Levels across an edge."""
CANDIDATES = 10
"""Lines looked at on either side and in either direction."""
MIN_LINE = 0.22
"""Share of the height or width from which a line can be a side of the window."""
OFF_CENTRE = (0.015, 0.04)
"""Distance of the window's middle from the card's, as a share of the width."""
SUPPORT = (0.62, 0.82)
"""Support from which a window is believed; with less it may be a door or a lawn in a framed photograph."""
LEAST_SUPPORT = 0.4
"""The same of its weakest side: one that is seen on less of its length is none, however sure the others are."""
MIN_WIDTH = 0.5
MIN_HEIGHT = 0.25
"""Size of a window as a share of the card: less is a plate or an icon."""
MIRROR_LEVELS = 18.0
MIRRORED = (0.45, 0.65)
"""Share of what is around the window that its mirror image repeats within so many levels, when the light that falls off
across a scan is taken away; lettering spoils the rest."""
BORDER_SUPPORT = 0.6
"""What the edge of the box counts for, where another frame ends there: less than an edge that is seen."""
PLATE_SHARE = (0.45, 0.65)
"""Share of a rectangle's rows that is of one colour: a text plate rather than a picture."""
PLATE_TOLERANCE = 14
CARD_TRUST = 0.75
"""Confidence of a perfect window: a single image proves less than a set of cards that share the frame."""
MIN_FRAMED = 2
"""Sides on which the image must have a border: otherwise the window may be one in a wall."""
LARGEST_OUTSIDE = 0.8
"""Share of the image around a window: what leaves less than a fifth is no card's picture."""


@dataclass(frozen=True, slots=True)
class ArtWindow:
    """A window and the evidence for it.

    Attributes:
        box: The picture.
        confidence: 0..1.
    """

    box: Box
    confidence: float


def find_window(pixels: NDArray[np.uint8], *, inside: Box) -> ArtWindow | None:
    """Find the art window within what plain borders leave of an (H, W, 3) uint8 image, or None."""
    import cv2

    height_px, width_px = pixels.shape[:2]
    framed = (inside.x0 > 0, inside.y0 > 0, inside.x1 < width_px, inside.y1 < height_px)
    if sum(framed) < MIN_FRAMED:
        return None
    scale = min(1.0, WORK_PX / max(inside.width_px, inside.height_px))
    size = max(1, round(inside.width_px * scale)), max(1, round(inside.height_px * scale))
    if min(size) < 96:
        return None
    small = cv2.resize(pixels[inside.slices], size, interpolation=cv2.INTER_AREA)
    found = _best_rectangle(small, framed=framed)
    if found is None:
        return None
    (x0, y0, x1, y1), support = found
    box = Box(
        inside.x0 + round(x0 / scale),
        inside.y0 + round(y0 / scale),
        inside.x0 + round(x1 / scale),
        inside.y0 + round(y1 / scale),
    )
    off_centre = abs((x0 + x1) - size[0]) / 2 / size[0]
    outside_share = 1 - box.width_px * box.height_px / (height_px * width_px)
    rest = (
        CARD_TRUST
        * ramp(off_centre, OFF_CENTRE[1], OFF_CENTRE[0])
        * ramp(_mirrored(small, (x0, y0, x1, y1)), *MIRRORED)
        * pictorial(detail_of(pixels[box.slices]))
        * ramp(outside_share, LARGEST_OUTSIDE, LARGEST_OUTSIDE - 0.05)
    )
    return ArtWindow(box, rest * ramp(support, *SUPPORT))


def _edges(small: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Running count (h + 1, w) down each column of pixels at a dominant vertical edge, or one beside it."""
    import cv2

    wide = cv2.blur(small, (1, 3)).astype(np.int16)
    step = np.zeros(small.shape[:2], dtype=np.float32)
    step[:, 1:] = largest_channel(np.abs(wide[:, 1:] - wide[:, :-1]))
    step[:, 1:-1] = np.maximum(step[:, 1:-1], largest_channel(np.abs(wide[:, 2:] - wide[:, :-2])) * 0.8)
    dominant = (step >= MIN_STEP) & (step >= cv2.dilate(step, np.ones((1, 7), np.uint8)) * 0.999)
    near = cv2.dilate(dominant.view(np.uint8), np.ones((1, 3), np.uint8))
    counts = np.zeros((small.shape[0] + 1, small.shape[1]), dtype=np.int32)
    np.cumsum(near, axis=0, out=counts[1:])
    return counts


def _lines(counts: NDArray[np.int32], first: int, last: int) -> list[int]:
    """Columns from `first` to `last` with the longest edges, apart from each other."""
    total = counts[-1].astype(np.float64)
    total[:first] = 0
    total[last:] = 0
    total[:2] = 0
    total[-2:] = 0
    lines = []
    for _ in range(CANDIDATES):
        column = int(total.argmax())
        if total[column] < MIN_LINE * (counts.shape[0] - 1):
            break
        lines.append(column)
        total[max(0, column - 2) : column + 3] = 0
    return lines


def _best_rectangle(
    small: NDArray[np.uint8], *, framed: tuple[bool, bool, bool, bool]
) -> tuple[tuple[int, int, int, int], float] | None:
    """x0, y0, x1, y1 of the rectangle with the best supported sides, and their support.

    Args:
        small: (h, w, 3) image.
        framed: Whether another frame ends at its left, top, right and bottom edge, which may then be the window's.
    """
    vertical, horizontal = _edges(small), _edges(np.ascontiguousarray(small.transpose(1, 0, 2)))
    height, width = small.shape[:2]
    lefts = _lines(vertical, 0, width // 2) + [0] * framed[0]
    rights = _lines(vertical, width // 2, width) + [width] * framed[2]
    tops = _lines(horizontal, 0, round(0.6 * height)) + [0] * framed[1]
    bottoms = _lines(horizontal, round(0.4 * height), height) + [height] * framed[3]
    best: tuple[tuple[int, int, int, int], float] | None = None
    best_score = 0.0
    for x0 in lefts:
        for x1 in rights:
            # Half a picture between two borders and a horizon is no window.
            if (x0, x1) == (0, width):
                continue
            if x1 - x0 < MIN_WIDTH * width or abs(x0 + x1 - width) > 2 * OFF_CENTRE[1] * width:
                continue
            plain = _plain_rows(small[:, x0:x1])
            for y0 in tops:
                for y1 in bottoms:
                    if y1 - y0 < MIN_HEIGHT * height:
                        continue
                    supports = [
                        BORDER_SUPPORT if x0 == 0 else (vertical[y1, x0] - vertical[y0, x0]) / (y1 - y0),
                        BORDER_SUPPORT if x1 == width else (vertical[y1, x1] - vertical[y0, x1]) / (y1 - y0),
                        BORDER_SUPPORT if y0 == 0 else (horizontal[x1, y0] - horizontal[x0, y0]) / (x1 - x0),
                        BORDER_SUPPORT if y1 == height else (horizontal[x1, y1] - horizontal[x0, y1]) / (x1 - x0),
                    ]
                    lowest = float(min(supports))
                    if lowest < LEAST_SUPPORT:
                        continue
                    support = (lowest + float(sum(supports)) / len(supports)) / 2
                    # Of nested rims the innermost, and rather the picture than a plate.
                    area = (x1 - x0) * (y1 - y0) / (width * height)
                    plate = ramp(float(plain[y1] - plain[y0]) / (y1 - y0), *PLATE_SHARE)
                    off_centre = abs(x0 + x1 - width) / 2 / width
                    score = min(support, 0.9) - 0.1 * area - 0.25 * plate - 4 * off_centre
                    if score > best_score:
                        best, best_score = ((x0, y0, x1, y1), support), score
    return best


def _plain_rows(part: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Running sum (h + 1,) of the share of each row of a (h, w, 3) image that has the row's median colour."""
    middle = np.median(part[:, ::4], axis=1)
    near = largest_channel(np.abs(part[:, ::2].astype(np.int16) - middle[:, None])) <= PLATE_TOLERANCE
    return np.concatenate([[0.0], np.cumsum(near.mean(axis=1))])


def _mirrored(small: NDArray[np.uint8], window: tuple[int, int, int, int]) -> float:
    """Share 0..1 of what surrounds the window that agrees with its mirror image, a slope of the light apart."""
    import cv2

    smooth = cv2.blur(small, (9, 9)).astype(np.float32)
    difference = smooth - smooth[:, ::-1]
    x0, y0, x1, y1 = window
    around = np.ones(small.shape[:2], dtype=np.bool_)
    around[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = False
    if not around.any():
        return 0.0
    # A slope differs from its mirror image in proportion to the distance from the middle.
    from_middle = np.broadcast_to(np.linspace(-1, 1, small.shape[1], dtype=np.float32), around.shape)[around]
    values = difference[around]
    slope = np.median(values[np.abs(from_middle) > 0.3] / from_middle[np.abs(from_middle) > 0.3][:, None], axis=0)
    rest = np.abs(values - from_middle[:, None] * slope[None]).max(axis=1)
    return float((rest <= MIRROR_LEVELS).mean())
