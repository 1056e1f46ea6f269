"""The frame that images of one type share, from colours that stay while the picture inside changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automask_models.overlay.consistency import Consistency
from automask_models.overlay.reduction import furthest, median_of
from automask_models.overlay.relations import SAME_COLOUR_LEVELS

FIXED_SHARE = 0.5
"""A place belongs to the frame when most images have the same colour there; text on a plate leaves the plate so."""
CHANGING_SHARE = 0.25
"""Places where fewer agree certainly change. Between this and `FIXED_SHARE` lies the outline of prints that were cut
or scanned with a few pixels of play: there the frame wins, since a missed edge is learned and a masked one is not."""
TAKE_BACK_PX = 24
STEADY_SHARE = 0.7
"""Places by which a frame is recognised."""
SMALLEST_WINDOW = 0.02
"""Share of the image; smaller changing areas are numbers, names and gems on the frame."""
SECOND_WINDOW = 0.3
"""A further window has at least this share of the largest one's area; text boxes change less than that."""
GROUND_PX = 9
"""Fringes narrower than this are left to the frame: prints are cut with some play."""
GROUND_EDGED = 0.5
"""What is part of the frame has a consistent edge along this share of its outline towards the window."""
STEP_PX = 6
"""Within this distance from a window's outline the change from fixed to changing is complete in a print."""
EDGE_PX = 8
"""The same for the consistent edge, which may lie under what `CHANGING_SHARE` adds."""
STEP = 0.4
"""Least difference between the shares of images that agree outside and inside of the outline."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameShape:
    """What is fixed around a window.

    Attributes:
        outside: (h, w) bool, all but the windows.
        share: (h, w) float32, share of the images that have the median colour.
        colours: (h, w, 3) uint8, median.
        stepped: Share of the windows' outline where agreement ends abruptly, 0..1. A subject before a fixed background
            has an outline that moves.
        edged: Share of the outline that is a consistent edge in all images, beyond what the inside
            of the window has by chance, 0..1. A plain ground around different
            drawings has none.
        border: Share of the image's border that belongs to the frame, 0..1.
        surrounds: Whether some window reaches no border of the image.
    """

    outside: NDArray[np.bool_]
    share: NDArray[np.float32]
    colours: NDArray[np.uint8]
    stepped: float
    edged: float
    border: float
    surrounds: bool


def frame_of(stack: Sequence[NDArray[np.uint8]], consistency: Consistency, *, halved: Consistency) -> FrameShape | None:
    """The frame of images of one type, or None where no window or no frame is left.

    Args:
        stack: (h, w, 3) uint8 images.
        consistency: What they agree on.
        halved: The same at half the size, where prints that were cut with some play still agree.
    """
    import cv2

    colours = median_of(stack)
    blurred = cv2.blur(colours, (3, 3))
    share = np.zeros(colours.shape[:2], dtype=np.float32)
    for pixels in stack:
        share += furthest(cv2.blur(pixels, (3, 3)), blurred) <= SAME_COLOUR_LEVELS
    share /= len(stack)
    windows = _windows(share, consistency.energy > consistency.high)
    if not windows.any() or windows.all():
        return None
    edge = _edged(consistency, EDGE_PX) | cv2.resize(
        _edged(halved, EDGE_PX // 2).view(np.uint8), windows.shape[::-1], interpolation=cv2.INTER_NEAREST
    ).astype(np.bool_)
    windows = _with_grounds(windows, edge)
    outline = windows & (cv2.erode(windows.view(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    smooth = cv2.blur(share, (3, 3))
    reach = np.ones((2 * STEP_PX + 1, 2 * STEP_PX + 1), dtype=np.uint8)
    step = cv2.dilate(smooth, reach) - cv2.erode(smooth, reach)
    by_chance = float(edge[windows].mean())
    outside = ~windows
    border = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
    return FrameShape(
        outside=outside,
        share=share,
        colours=colours,
        stepped=float((step[outline] >= STEP).mean()) if outline.any() else 0.0,
        edged=max(0.0, float(edge[outline].mean()) - by_chance) / max(1e-6, 1 - by_chance) if outline.any() else 0.0,
        border=float(border.mean()),
        surrounds=_surrounds(windows),
    )


def _with_grounds(windows: NDArray[np.bool_], edged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Windows with the places in their boxes that only happen to have one colour, (h, w) bool.

    Few pictures may share the colour of the ground that they stand on. A plate, a number or a gem that belongs to the
    frame has a consistent edge towards the window, such a ground has none.
    """
    import cv2

    out = windows.copy()
    count, _, stats, _ = cv2.connectedComponentsWithStats(windows.view(np.uint8), connectivity=4)
    for left, top, width, height, _ in stats[1:count].tolist():
        places = np.zeros_like(windows)
        box = slice(top, top + height), slice(left, left + width)
        places[box] = ~windows[box]
        number, labels = cv2.connectedComponents(_opened(places, GROUND_PX).view(np.uint8), connectivity=4)
        for label in range(1, number):
            place = labels == label
            rim = _spread(place, windows, steps_px=2) & windows
            if rim.any() and edged[rim].mean() < GROUND_EDGED:
                out |= place
    return out


def _edged(consistency: Consistency, reach_px: int) -> NDArray[np.bool_]:
    """Places with a consistent edge within reach."""
    import cv2

    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), dtype=np.uint8)
    near: NDArray[np.float32] = cv2.dilate(consistency.energy, kernel)
    return near > (consistency.low + consistency.high) / 2


def _windows(share: NDArray[np.float32], edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Large connected areas that change, without their holes and their fringes; (h, w) bool."""
    import cv2

    opened = _opened(share < FIXED_SHARE, 5)
    # Consistent edges keep windows apart from changing text and numbers beside them, but pooled evidence is wider than
    # the edge, and a shadow that the frame throws on the picture is evidence too: it only cuts, and each window then
    # takes back the places next to it that certainly change.
    apart = _opened(opened & ~edges, 7).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=4)
    windows = np.zeros_like(opened)
    if count < 2:
        return windows
    areas = stats[1:, cv2.CC_STAT_AREA]
    least = max(SMALLEST_WINDOW * share.size, SECOND_WINDOW * float(areas.max()))
    for label in np.flatnonzero(areas >= least) + 1:
        window = _spread(labels == label, opened, steps_px=4)
        window = _spread(window, opened & (share < CHANGING_SHARE), steps_px=TAKE_BACK_PX)
        windows |= _without_holes(_opened(window, 9))
    # Fringes of pictures that happen to have the frame's colour at its edge are no part of it.
    inside = ~_spread(~windows, share >= CHANGING_SHARE, steps_px=STEP_PX)
    closed: NDArray[np.uint8] = cv2.morphologyEx(inside.view(np.uint8), cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    return closed.astype(np.bool_)


def _opened(mask: NDArray[np.bool_], side_px: int) -> NDArray[np.bool_]:
    import cv2

    kernel = np.ones((side_px, side_px), np.uint8)
    opened: NDArray[np.uint8] = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, kernel)
    return opened.astype(np.bool_)


def _spread(mask: NDArray[np.bool_], into: NDArray[np.bool_], *, steps_px: int) -> NDArray[np.bool_]:
    """Grow a mask pixel by pixel into connected places."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    out: NDArray[np.uint8] = mask.view(np.uint8)
    room = (mask | into).view(np.uint8)
    for _ in range(steps_px):
        out = cv2.dilate(out, kernel) & room
    return out.astype(np.bool_)


def _surrounds(windows: NDArray[np.bool_]) -> bool:
    """Whether a connected part of an (h, w) mask stays clear of the border."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(windows.view(np.uint8), connectivity=4)
    left, top = stats[1:count, cv2.CC_STAT_LEFT], stats[1:count, cv2.CC_STAT_TOP]
    right, bottom = left + stats[1:count, cv2.CC_STAT_WIDTH], top + stats[1:count, cv2.CC_STAT_HEIGHT]
    height_px, width_px = windows.shape
    return bool(((left > 0) & (top > 0) & (right < width_px) & (bottom < height_px)).any())


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill background that does not reach the border and is smaller than the mask itself."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    height_px, width_px = mask.shape
    out = mask.copy()
    for label in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[label])
        enclosed = left > 0 and top > 0 and left + width < width_px and top + height < height_px
        if enclosed and area < SMALLEST_WINDOW * mask.size:
            out |= labels == label
    return out
