"""The art window of a card: a rectangle of straight edges amid a drawn frame, and the plates that lie over it.

A photograph has straight edges too. A card has four that meet at the corners of one rectangle, as far from the left as
from the right, and what lies around them is its own mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask.values.geometry import Box
from automask_models.frames.channels import largest_channel
from automask_models.frames.evidence import ramp
from automask_models.frames.picture import detail_of, pictorial
from automask_models.frames.sides import Side
from automask_models.frames.strips import strip_at, without

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
SUPPORT = (0.55, 0.75)
"""Support from which a window with plates over it is believed; gems and rounded corners take a part of every side."""
SUPPORT_OF_NO_PLATE = (0.62, 0.82)
"""The same for a window without any plate, which may be a door or a lawn in a framed photograph."""
SUPPORT_OF_CARD = (0.4, 0.6)
MIRRORED_OF_CARD = (0.3, 0.5)
"""The same two where lettered plates in a border say that this is a card."""
NEXT_PLATE = 0.08
NEXT_BORDER = 0.16
"""How far a card's window may end from the plate and from the border beside it, as a share of the card: what lies
further out is the picture beyond a horizon."""
GOES_ON = 0.6
"""Share of the rows beyond a horizon in which the sides of a window must be edges."""
MIN_WIDTH = 0.5
MIN_HEIGHT = 0.25
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
INSETS = (0.0, 0.05)
"""How much narrower a plate may be than the window, as a share of the window's width on either side."""
RIMS_PX = (0, 4)
"""How deep the line around a plate may be."""


@dataclass(frozen=True, slots=True)
class ArtWindow:
    """A window and the evidence for it.

    Attributes:
        box: The picture, without the plates over it.
        support: The lowest share of a side that is an edge, 0..1.
        off_centre: Distance from the card's middle as a share of its width.
        mirrored: Share of the frame that its mirror image repeats, 0..1.
        plates: How many plates were cut off.
        detail: Share of detail in the picture (see `picture`).
        confidence: 0..1.
    """

    box: Box
    support: float
    off_centre: float
    mirrored: float
    plates: int
    detail: float
    confidence: float


def find_window(
    pixels: NDArray[np.uint8], *, inside: Box, at_least: float, lettered: Sequence[Box] = ()
) -> ArtWindow | None:
    """Find the art window within a box of an (H, W, 3) uint8 image, or None.

    Args:
        pixels: The image.
        inside: What plain borders leave.
        at_least: Confidence below which plates are not looked for.
        lettered: Plates that were found in a border: they say that this is a card, and are no part of its picture.
    """
    import cv2

    height_px, width_px = pixels.shape[:2]
    framed = (inside.x0 > 0, inside.y0 > 0, inside.x1 < width_px, inside.y1 < height_px)
    if sum(framed) < MIN_FRAMED and not lettered:
        return None
    scale = min(1.0, WORK_PX / max(inside.width_px, inside.height_px))
    size = max(1, round(inside.width_px * scale)), max(1, round(inside.height_px * scale))
    if min(size) < 96:
        return None
    small = cv2.resize(pixels[inside.slices], size, interpolation=cv2.INTER_AREA)
    covered = np.zeros(size[1], dtype=np.bool_)
    for plate in lettered:
        covered[round((plate.y0 - inside.y0) * scale) : round((plate.y1 - inside.y0) * scale)] = True
    found = _best_rectangle(small, framed=framed, covered=covered)
    if found is None:
        return None
    (x0, y0, x1, y1), support = found
    box = Box(
        inside.x0 + round(x0 / scale),
        inside.y0 + round(y0 / scale),
        inside.x0 + round(x1 / scale),
        inside.y0 + round(y1 / scale),
    )
    whole = x0 == 0 and y0 == 0 and (x1, y1) == size
    off_centre = abs((x0 + x1) - size[0]) / 2 / size[0]
    mirrored = 1.0 if whole else _mirrored(small, (x0, y0, x1, y1))
    detail = detail_of(pixels[box.slices])
    outside_share = 1 - box.width_px * box.height_px / (height_px * width_px)
    rest = (
        CARD_TRUST
        * ramp(off_centre, OFF_CENTRE[1], OFF_CENTRE[0])
        * ramp(mirrored, *(MIRRORED_OF_CARD if lettered else MIRRORED))
        * pictorial(detail)
        * ramp(outside_share, LARGEST_OUTSIDE, LARGEST_OUTSIDE - 0.05)
    )
    plates = 0
    confidence = rest * (1.0 if whole else ramp(support, *(SUPPORT_OF_CARD if lettered else SUPPORT)))
    if confidence >= at_least:
        box, plates = _without_plates(pixels, box, at_least=0.5)
    if whole and not plates:
        return None
    if not (whole or lettered or plates):
        confidence = rest * ramp(support, *SUPPORT_OF_NO_PLATE)
    return ArtWindow(box, support, off_centre, mirrored, plates, detail, confidence)


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
    small: NDArray[np.uint8], *, framed: tuple[bool, bool, bool, bool], covered: NDArray[np.bool_]
) -> tuple[tuple[int, int, int, int], float] | None:
    """x0, y0, x1, y1 of the rectangle with the best supported sides, and their support.

    Args:
        small: (h, w, 3) image.
        framed: Whether another frame ends at its left, top, right and bottom edge, which may then be the window's.
        covered: (h,) rows with a lettered plate.
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
                    support = (lowest + float(np.mean(supports))) / 2
                    # Of nested rims the innermost, and rather the picture than a plate.
                    area = (x1 - x0) * (y1 - y0) / (width * height)
                    plate = ramp(float(plain[y1] - plain[y0]) / (y1 - y0), *PLATE_SHARE)
                    off_centre = abs(x0 + x1 - width) / 2 / width
                    score = min(support, 0.9) - 0.1 * area - 0.25 * plate - 4 * off_centre
                    if lowest >= 0.4 and score > best_score:
                        best, best_score = ((x0, y0, x1, y1), support), score
    if best is None or not covered.any():
        return best
    (x0, y0, x1, y1), support = best
    both = np.minimum(vertical[:, x0 if x0 else x1], vertical[:, x1 if x1 < width else x0])
    y0, y1 = _up_to(both, y0, tops, covered), _up_to(both, y1, bottoms, covered)
    y0 -= _too_far(covered[:y0][::-1], height)
    y1 += _too_far(covered[y1:], height)
    return (x0, y0, x1, y1), support


def _too_far(beyond: NDArray[np.bool_], height: int) -> int:
    """How many rows without a plate lie beyond a window's end, 0 where they can be the frame's own.

    Args:
        beyond: Rows from the window's end outwards, whether a plate lies there.
        height: Rows of the whole card.
    """
    rows = int(beyond.argmax()) if beyond.any() else beyond.size
    most = NEXT_PLATE if beyond.any() else NEXT_BORDER
    return rows if rows > most * height else 0


def _up_to(both: NDArray[np.int32], row: int, others: Sequence[int], covered: NDArray[np.bool_]) -> int:
    """The furthest of some rows up to which the sides of a window go on and no plate lies: beyond a horizon.

    Args:
        both: Running count (h + 1,) of edge pixels on the window's less certain side.
        row: Where the window ends.
        others: Where it might end instead, all on one side of its middle.
        covered: (h,) rows with a plate.
    """
    middle = covered.size / 2
    furthest = row
    for other in others:
        if abs(other - middle) <= abs(furthest - middle):
            continue
        first, last = min(row, other), max(row, other)
        if both[last] - both[first] >= GOES_ON * (last - first) and not covered[first + 2 : last - 2].any():
            furthest = other
    return furthest


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


def _without_plates(pixels: NDArray[np.uint8], box: Box, *, at_least: float) -> tuple[Box, int]:
    """The window without lettered plates at its top and bottom, and how many there were."""
    plates = 0
    for side in (Side.BOTTOM, Side.TOP):
        for inset in INSETS:
            margin_px = round(inset * box.width_px)
            for rim_px in RIMS_PX:
                inner = Box(box.x0 + margin_px, box.y0 + rim_px, box.x1 - margin_px, box.y1 - rim_px)
                strip = strip_at(pixels, side, inner)
                if strip is not None and strip.confidence >= at_least and strip.ink >= 0.01:
                    cut = without(inner, strip)
                    box = (
                        Box(box.x0, cut.y0, box.x1, box.y1) if side is Side.TOP else Box(box.x0, box.y0, box.x1, cut.y1)
                    )
                    plates += 1
                    break
            else:
                continue
            break
    return box, plates
